"""One connection of HTTP/1.1, of which no more is read than the limits of the front door allow."""

import asyncio
from typing import TYPE_CHECKING, Any, cast

import httptools
from uvicorn.protocols.http.flow_control import HIGH_WATER_LIMIT
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from mlops_dagster.errors import HeadTooLargeError, InvalidInputError, MlopsError
from mlops_dagster.serving.http.connections.coalesced_writes import CoalescedWrites
from mlops_dagster.serving.http.connections.front_door import FrontDoor, Queue
from mlops_dagster.serving.http.connections.heads import with_host_of_target, without_offer
from mlops_dagster.serving.http.connections.turns import Turns
from mlops_dagster.serving.http.responses import error_response

if TYPE_CHECKING:
    from uvicorn.config import Config
    from uvicorn.server import ServerState

MAX_HEAD_BYTES = 32 * 1024
MAX_HEADERS = 100
MAX_PIPELINED = 4
"""The most requests that may be read before the one in front of them is answered.

None is, as a rule: a connection is read up to the end of a request. Only the end of a chunked body is guessed, once.
"""

_PIECE = 16 * 1024  # bytes that are parsed between two checks of the limits
_LAST_CHUNK = b"0\r\n\r\n"
_NOTHING, _HEAD, _BODY = range(3)  # the part of a message that is being read


class Connection(HttpToolsProtocol):
    """uvicorn's protocol with limits, which are checked before the application is called.

    A wrong request is answered with an error in JSON, and ends the connection once the requests before it are answered.
    The connection then stays half open for a while, or the caller would see a broken connection instead of the reason.
    """

    def __init__(
        self,
        config: "Config",
        server_state: "ServerState",
        app_state: dict[str, Any],
        door: FrontDoor,
        turns: Turns,
    ) -> None:  # the state is uvicorn's, and holds any objects of the application
        super().__init__(config, server_state, app_state)
        self.queue: Queue | None = None
        self.held = 0
        self._door = door
        self._turns = turns
        self._unread = b""
        self._reading = _NOTHING
        self._is_offer = False
        self._deaf = self._is_lost = False
        self._has_asked = self._has_guessed = False
        # Bytes of the message that is being read (and between messages), and bytes of its body.
        self._fed = 0
        self._body = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        gathering = CoalescedWrites(cast("asyncio.Transport", transport), self.loop)
        super().connection_made(gathering)  # type: ignore[arg-type]  # it can be used as a transport
        self._settle()

    def connection_lost(self, exc: Exception | None) -> None:
        self._deaf = self._is_lost = True
        self._door.place(self, None)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._unread or self._owes_answer():
            self._unread += data
            self.flow.pause_reading()
        else:
            self._read(data)
        self._settle()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._settle()

    def resume_writing(self) -> None:
        super().resume_writing()
        self._settle()

    def shutdown(self) -> None:
        """End the connection once the request under way is answered; called by uvicorn."""
        if self._running():
            super().shutdown()
        else:
            self.transport.close()

    def drop(self, error: MlopsError, *, at_once: bool = False) -> None:
        """End the connection at the door's demand, with `error` as the answer to a request that was sent in part."""
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

    # Callbacks of the parser.

    def on_message_begin(self) -> None:
        if len(self.pipeline) >= MAX_PIPELINED:
            raise InvalidInputError(f"more than {MAX_PIPELINED} requests wait for their answers; read those first")
        self._reading = _HEAD
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        if len(self.headers) > MAX_HEADERS:
            raise HeadTooLargeError(f"the request has {len(self.headers)} headers; this server takes {MAX_HEADERS}")
        if self._fed > MAX_HEAD_BYTES:  # the bytes may include a body, so measure the head alone
            size = len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers)
            if size > MAX_HEAD_BYTES:
                raise _too_large()
        if self.parser.get_method() == b"CONNECT":
            raise InvalidInputError("this is not a proxy: CONNECT is not served")
        self._is_offer = self.parser.should_upgrade()
        if self._is_offer:
            return
        if not self.url.startswith(b"/"):
            self.headers[:] = with_host_of_target(self.url, self.headers)
        super().on_headers_complete()
        self._has_asked = True
        self._has_guessed = False
        self._reading = _BODY
        self.headers = []  # the parser adds trailers here, and they must not join the headers that were checked

    def on_body(self, body: bytes) -> None:
        """Keep `body` for the application, which is woken for the end of the body or a lot of it, not for each byte."""
        self._body += len(body)
        if self._is_offer or self.cycle.response_complete:
            return
        self.cycle.body += body
        if len(self.cycle.body) > HIGH_WATER_LIMIT:
            self.flow.pause_reading()
            self.cycle.message_event.set()

    def on_message_complete(self) -> None:
        if self._is_offer:
            return
        self._reading = _NOTHING
        self._fed = self._body = 0
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """Do as uvicorn does, but set no timer: the door limits how long a connection may be idle."""
        self.server_state.total_requests += 1
        if not self.transport.is_closing():
            self.flow.resume_reading()
            if self.pipeline or self._unread:
                self._turns.wait(self._go_on)
        self._settle()

    def _go_on(self) -> None:
        """Begin the next request that was sent before the last one was answered."""
        if self.transport.is_closing():
            return
        if self.pipeline:
            self._start_asgi_task(*self.pipeline.pop())
        else:
            data, self._unread = self._unread, b""
            self._read(data)
        self._settle()

    def _read(self, data: bytes) -> None:
        """Parse `data` up to the end of a request, and keep the rest until that is answered."""
        while data and not self._deaf:
            if self._owes_answer():
                self._unread = data
                self.flow.pause_reading()
                return
            end = self._end_of_part(data)
            self._feed(data[:end])
            data = data[end:]

    def _end_of_part(self, data: bytes) -> int:
        """Return the number of bytes of `data` to parse next, which are part of one request where that can be seen."""
        if self._reading != _BODY:
            return _end_of(b"\r\n\r\n", data)
        length = next((value for name, value in self.scope["headers"] if name == b"content-length"), None)
        if length is not None:
            return min(_PIECE, max(1, int(length) - self._body))
        if self._has_guessed:
            return _PIECE
        end = _end_of(_LAST_CHUNK, data)
        self._has_guessed = data.endswith(_LAST_CHUNK, 0, end)
        return end

    def _owes_answer(self) -> bool:
        """Return whether a whole request has been read, and is not answered."""
        return self._reading == _NOTHING and self._running()

    def _feed(self, data: bytes) -> None:
        if self._deaf:
            return
        self._fed += len(data)
        while data:
            rest = b""
            try:
                self.parser.feed_data(data)
            except httptools.HttpParserUpgrade as upgrade:
                rest = without_offer(self.parser, self.url, self.headers) + data[upgrade.args[0] :]
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
        # Chunk sizes, extensions and trailers have no other limit.
        if self._fed > MAX_HEAD_BYTES + 2 * self._body:
            in_body = self._reading == _BODY
            self._refuse(InvalidInputError("the chunks are larger than their data") if in_body else _too_large())

    def _refuse(self, error: MlopsError) -> None:
        """Read no more, and answer with `error`; if the answer to an earlier request is under way, end after that."""
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
            self.cycle.disconnected = True  # so that nothing of the application's answer is sent any more
            self.cycle.message_event.set()
        response = error_response(error)
        head = [STATUS_LINE[response.status_code], b"connection: close\r\n"]
        head += [b"%b: %b\r\n" % header for header in response.raw_headers]
        self.transport.write(b"".join([*head, b"\r\n", bytes(response.body)]))
        self.transport.write_eof()

    def _running(self) -> bool:
        return self._has_asked and not self.cycle.response_complete and not self.cycle.disconnected

    def _answering_early(self) -> bool:
        """Return whether `error` cannot be the next answer: that to this body has begun, or one before it is due."""
        return self._reading == _BODY and (self.cycle.response_started or bool(self.pipeline))

    def _settle(self) -> None:
        """Put this connection in the door's queue for the event that it waits for now."""
        door, running = self._door, self._running()
        if self._is_lost:
            return
        if self.transport.is_closing() or self.flow.write_paused:
            held = self.transport.get_write_buffer_size() + len(self._unread)
            door.place(self, door.transfers, held)
        elif self.pipeline or self._unread:
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


def _end_of(mark: bytes, data: bytes) -> int:
    """Return where the first `mark` of `data` ends; a whole piece if there is none in it."""
    end = data.find(mark, 0, _PIECE)
    return _PIECE if end < 0 else end + len(mark)
