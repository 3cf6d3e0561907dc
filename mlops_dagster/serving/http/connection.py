"""One connection of HTTP/1.1: no more is read of it than the front door allows."""

import asyncio
from typing import TYPE_CHECKING, Any, cast

import httptools
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from mlops_dagster.errors import HeadTooLargeError, InvalidInputError, MlopsError
from mlops_dagster.serving.http.coalesced_writes import CoalescedWrites
from mlops_dagster.serving.http.front_door import FrontDoor, Queue
from mlops_dagster.serving.http.responses import error_response

if TYPE_CHECKING:
    from uvicorn.config import Config
    from uvicorn.server import ServerState

MAX_HEAD_BYTES = 32 * 1024
MAX_HEADERS = 100
MAX_PIPELINED = 16
"""Requests that are sent before the answer to the one before them."""

_PIECE = 16 * 1024  # so much is parsed before it is looked at what there is by then
_NOTHING, _HEAD, _BODY = range(3)  # what of a message is being read


class Connection(HttpToolsProtocol):
    """uvicorn's protocol with limits, each before any of the application is asked.

    What is wrong is answered in JSON, and ends the connection once the requests before it are answered. It then stays
    half open for a while, or the caller would be told of a broken connection instead of the reason.
    """

    def __init__(
        self, config: "Config", server_state: "ServerState", app_state: dict[str, Any], door: FrontDoor
    ) -> None:  # the state is uvicorn's, whatever an application keeps in it
        super().__init__(config, server_state, app_state)
        self.queue: Queue | None = None
        self.held = 0
        self._door = door
        self._reading = _NOTHING
        self._is_offer = False
        self._deaf = self._is_lost = False
        self._has_asked = False
        # Of the message that is being read, and what came between messages.
        self._fed = 0
        self._body = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        gathering = CoalescedWrites(cast("asyncio.Transport", transport), self.loop)
        super().connection_made(gathering)  # type: ignore[arg-type]  # it passes for a transport
        self._settle()

    def connection_lost(self, exc: Exception | None) -> None:
        self._deaf = self._is_lost = True
        self._door.place(self, None)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if len(data) <= _PIECE:
            self._feed(data)
        else:
            for begin in range(0, len(data), _PIECE):
                self._feed(data[begin : begin + _PIECE])
        self._settle()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._settle()

    def resume_writing(self) -> None:
        super().resume_writing()
        self._settle()

    def shutdown(self) -> None:
        """Asked by uvicorn: end, once what is under way is answered."""
        if self._running():
            super().shutdown()
        else:
            self.transport.close()

    def drop(self, error: MlopsError, *, at_once: bool = False) -> None:
        """End for a reason of the door's: whoever has sent a part of a request gets `error` as its answer."""
        is_stuck = self._deaf or self.flow.write_paused or self.transport.is_closing()
        is_owed = self._reading != _NOTHING and not self._answering_early()
        self._deaf = True
        self._door.place(self, None)
        if is_stuck:
            self.transport.abort()
            return
        if is_owed:
            self._answer(error)
        if at_once or not is_owed:
            self.transport.close()
        self._settle()

    # What the parser finds.

    def on_message_begin(self) -> None:
        if len(self.pipeline) >= MAX_PIPELINED:
            raise InvalidInputError(f"more than {MAX_PIPELINED} requests wait for their answers; read those first")
        self._reading = _HEAD
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        if len(self.headers) > MAX_HEADERS:
            raise HeadTooLargeError(f"the request has {len(self.headers)} headers; this server takes {MAX_HEADERS}")
        if self._fed > MAX_HEAD_BYTES:  # there may be a body in that
            size = len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers)
            if size > MAX_HEAD_BYTES:
                raise _too_large()
        if self.parser.get_method() == b"CONNECT":
            raise InvalidInputError("this is no proxy: CONNECT is not served")
        self._is_offer = self.parser.should_upgrade()
        if self._is_offer:
            return
        if not self.url.startswith(b"/"):
            self._take_host_of_target()
        super().on_headers_complete()
        self._has_asked = True
        self._reading = _BODY
        self.headers = []  # trailers are not the headers that the request was let in with

    def on_body(self, body: bytes) -> None:
        self._body += len(body)
        super().on_body(body)

    def on_message_complete(self) -> None:
        if self._is_offer:
            return
        self._reading = _NOTHING
        self._fed = self._body = 0
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """As uvicorn's, but for its timer: the door knows how long a connection may be idle."""
        self.server_state.total_requests += 1
        if not self.transport.is_closing():
            self.flow.resume_reading()
            if self.pipeline:
                self._start_asgi_task(*self.pipeline.pop())
                self._door.place(self, None)
        self._settle()

    def _feed(self, data: bytes) -> None:
        if self._deaf:
            return
        self._fed += len(data)
        while data:
            rest = b""
            try:
                self.parser.feed_data(data)
            except httptools.HttpParserUpgrade as upgrade:
                rest = self._head_without_offer() + data[upgrade.args[0] :]
                self.parser = httptools.HttpRequestParser(self)  # the old one is done, if nothing was to follow
                self.parser.set_dangerous_leniencies(lenient_data_after_close=True)  # as uvicorn's own
            except httptools.HttpParserCallbackError as error:
                cause = error.__context__
                unread = InvalidInputError("the target of the request cannot be read; send a path")
                self._refuse(cause if isinstance(cause, MlopsError) else unread)
                return
            except httptools.HttpParserError as error:
                self._refuse(InvalidInputError(f"not HTTP/1.1: {error}"))
                return
            data = rest
        # Chunk sizes, extensions and trailers are not counted by anybody else.
        if self._fed > MAX_HEAD_BYTES + 2 * self._body:
            in_body = self._reading == _BODY
            self._refuse(InvalidInputError("the chunks are larger than their data") if in_body else _too_large())

    def _head_without_offer(self) -> bytes:
        """The head again, but for the offer to go on in another protocol (WebSocket, h2c of Java's clients).

        None is taken up, and the parser reads no body of a request that bears one.
        """
        lines = [b"%b %b HTTP/%b" % (self.parser.get_method(), self.url, self.parser.get_http_version().encode())]
        for name, value in self.headers:
            if name == b"connection":
                tokens = [token.strip() for token in value.lower().split(b",")]
                lines.append(b"connection: " + b", ".join(token for token in tokens if token != b"upgrade"))
            elif name != b"upgrade":
                lines.append(b"%b: %b" % (name, value))
        return b"\r\n".join([*lines, b"\r\n"])

    def _take_host_of_target(self) -> None:
        """The target is an absolute URL: its host, and not that of the header, is the one that is asked (RFC 9112)."""
        target = httptools.parse_url(self.url)
        if target.host:
            host = b"%b:%d" % (target.host, target.port) if target.port else target.host
            self.headers[:] = [*(header for header in self.headers if header[0] != b"host"), (b"host", host)]

    def _refuse(self, error: MlopsError) -> None:
        """Read no more. Requests that came whole before this are answered first."""
        self._deaf = True
        self._door.refused()
        if self._running() and self._reading != _BODY:
            self.cycle.keep_alive = False
        elif self._answering_early():
            self.transport.close()
        else:
            self._answer(error)

    def _answer(self, error: MlopsError) -> None:
        if self._running():
            self.cycle.disconnected = True  # for what the application may still say of it
            self.cycle.message_event.set()
        response = error_response(error)
        head = [STATUS_LINE[response.status_code], b"connection: close\r\n"]
        head += [b"%b: %b\r\n" % header for header in response.raw_headers]
        self.transport.write(b"".join([*head, b"\r\n", bytes(response.body)]))
        self.transport.write_eof()

    def _running(self) -> bool:
        return self._has_asked and not self.cycle.response_complete and not self.cycle.disconnected

    def _answering_early(self) -> bool:
        """The answer to what is being read has begun, or that to a request before it has not."""
        return self._reading == _BODY and (self.cycle.response_started or bool(self.pipeline))

    def _settle(self) -> None:
        """Wait in the queue of what is awaited now."""
        door, running = self._door, self._running()
        if self._is_lost:
            return
        if self.transport.is_closing() or self.flow.write_paused:
            door.place(self, door.transfers, self.transport.get_write_buffer_size())
        elif self.pipeline:
            door.place(self, None)
        elif self._deaf:
            door.place(self, None if running else door.heads)
        elif self._reading == _BODY:
            door.place(self, door.transfers, self._body if running else 0)
        elif running:
            door.place(self, None)
        elif self._reading == _HEAD:
            door.place(self, door.heads)
        else:
            door.place(self, door.idle if self._has_asked else door.silent)


def _too_large() -> HeadTooLargeError:
    return HeadTooLargeError(f"the head of the request has more than the {MAX_HEAD_BYTES} bytes that this server takes")
