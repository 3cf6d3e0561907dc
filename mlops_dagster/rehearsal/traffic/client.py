"""A client of the data plane for recorded traffic: many small requests at once, little CPU for each.

A request costs about 0.1 ms here. A general client takes ten times that, and a rehearsal would mainly measure the
client.
"""

import asyncio
from collections.abc import Sequence
from types import TracebackType
from typing import Any, NamedTuple, Self, cast

import httptools
import orjson
import uvloop

from mlops_dagster.errors import ServerError

CONNECTIONS = 48

# Bodies of answers, as `json.loads` has them; callers take out the few fields they need.
Json = Any


class ClientAnswer(NamedTuple):
    """The answer to one request."""

    status: int
    body: bytes

    def json(self) -> Json:
        """Return the body as JSON; raises ServerError with its text if the request was not answered with 200."""
        if self.status != 200:
            raise ServerError(f"the data plane answered {self.status}: {self.body.decode(errors='replace')}")
        return orjson.loads(self.body)


class Client:
    """A client with connections that stay open; use as a context manager, from one thread."""

    def __init__(self, host: str, port: int, connections: int = CONNECTIONS) -> None:
        self._host, self._port = host, port
        self._limit = connections
        self._idle: list[_Connection] = []
        self._runner = asyncio.Runner(loop_factory=uvloop.new_event_loop)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for connection in self._idle:
            connection.close()
        self._runner.close()

    def post(self, path: str, content: Json) -> Json:
        """Send one JSON object and return the JSON answer; raises ServerError unless the status is 200."""
        return self.post_all(path, [orjson.dumps(content)])[0].json()

    def post_all(self, path: str, bodies: Sequence[bytes]) -> list[ClientAnswer]:
        """Send each body as a separate request, many at the same time; return the answers in the order of `bodies`.

        Raises ServerError if the server cannot be reached or hangs up in the middle of an answer.
        """
        return self._runner.run(self._post_all(path, bodies))

    async def _post_all(self, path: str, bodies: Sequence[bytes]) -> list[ClientAnswer]:
        answers: list[ClientAnswer | None] = [None] * len(bodies)
        waiting = iter(enumerate(bodies))

        async def work() -> None:
            for position, body in waiting:
                answers[position] = await self._post(path, body)

        await asyncio.sleep(0)  # lets connections notice that the server has closed them
        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(min(self._limit, len(bodies))):
                    group.create_task(work())
        except* OSError as group_error:
            cause = group_error.exceptions[0]
            raise ServerError(f"the data plane at {self._host}:{self._port} cannot be reached: {cause}") from cause
        return [answer for answer in answers if answer is not None]

    async def _post(self, path: str, body: bytes) -> ClientAnswer:
        connection = await self._connection()
        answer = await connection.post(path, body)
        if answer is None:  # closed for idleness while the request was on its way: the server has not read it
            connection = await self._open()
            answer = await connection.post(path, body)
        if answer is None:
            raise ConnectionResetError("it hung up without an answer")
        self._idle.append(connection)
        return answer

    async def _connection(self) -> "_Connection":
        while self._idle:
            connection = self._idle.pop()
            if connection.alive:
                return connection
        return await self._open()

    async def _open(self) -> "_Connection":
        loop = asyncio.get_running_loop()
        _, connection = await loop.create_connection(lambda: _Connection(self._host), self._host, self._port)
        return connection


class _Connection(asyncio.Protocol):
    """One HTTP/1.1 connection: a request, its answer, then the next."""

    def __init__(self, host: str) -> None:
        self._head = f"Host: {host}\r\nContent-Type: application/json\r\nContent-Length: ".encode()
        self._answer: asyncio.Future[ClientAnswer | None] | None = None
        self.alive = False

    async def post(self, path: str, body: bytes) -> ClientAnswer | None:
        """Send a request and return the answer, or None if the connection was closed before its first byte."""
        self._parser, self._begun, self._parts = httptools.HttpResponseParser(self), False, list[bytes]()
        self._answer = asyncio.get_running_loop().create_future()
        self._transport.write(b"POST %b HTTP/1.1\r\n%b%d\r\n\r\n%b" % (path.encode(), self._head, len(body), body))
        return await self._answer

    def close(self) -> None:
        self.alive = False
        self._transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport, self.alive = cast("asyncio.Transport", transport), True

    def data_received(self, data: bytes) -> None:
        self._begun = True
        self._parser.feed_data(data)

    def connection_lost(self, exc: Exception | None) -> None:
        self.alive = False
        if self._answer is None or self._answer.done():
            return
        if self._begun:
            self._answer.set_exception(exc or ConnectionResetError("it hung up in the middle of an answer"))
        else:
            self._answer.set_result(None)

    def on_body(self, body: bytes) -> None:
        self._parts.append(body)

    def on_message_complete(self) -> None:
        if self._answer is not None and not self._answer.done():
            self.alive = self._parser.should_keep_alive()
            self._answer.set_result(ClientAnswer(self._parser.get_status_code(), b"".join(self._parts)))
