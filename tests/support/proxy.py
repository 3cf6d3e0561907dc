"""A proxy that fails on demand, to stand in front of any server that speaks over TCP or a Unix socket."""

import asyncio
import contextlib
import threading
from collections.abc import Coroutine
from pathlib import Path
from types import TracebackType


class Proxy:
    """Passes bytes on, until it is told to fail; every method acts on what happens after it returned.

    with Proxy(("127.0.0.1", 5432)) as proxy:
        proxy.hang()
        proxy.heal()
    """

    def __init__(self, target: tuple[str, int] | Path) -> None:
        self._target = target
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._status: int | None = None
        self._left: int | None = None
        self._flip: int | None = None
        self.port = 0
        """On 127.0.0.1."""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def heal(self) -> None:
        """Pass everything on."""
        self._run(self._set())

    def answer(self, status: int) -> None:
        """Close what is open, and answer each request with this status of HTTP; the server hears nothing of it."""
        self._run(self._drop())  # first: what was held back shall not get through now
        self._run(self._set(status=status))

    def cut(self, after: int = 0) -> None:
        """Close every connection once the server has sent so many more bytes in all.

        After 0 bytes the server does what it is asked, and its answers are lost.
        """
        self._run(self._set(left=after))

    def flip(self, after: int) -> None:
        """Pass on one bit of the server wrong, once so many more of its bytes have passed."""
        self._run(self._set(flip=after))

    def hang(self) -> None:
        """Pass nothing on and close nothing; connections are accepted."""
        self._run(self._set(flowing=False))

    def __enter__(self) -> "Proxy":
        self._thread.start()
        self._run(self._start())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._run(self._stop())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _run(self, work: Coroutine[None, None, None]) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(10)

    async def _start(self) -> None:
        self._flowing = asyncio.Event()
        self._flowing.set()
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]

    async def _stop(self) -> None:
        self._server.close()
        await self._drop()
        self._flowing.set()
        await asyncio.gather(*self._tasks)

    async def _set(
        self, *, status: int | None = None, left: int | None = None, flip: int | None = None, flowing: bool = True
    ) -> None:
        self._status, self._left, self._flip = status, left, flip
        if flowing:
            self._flowing.set()
        else:
            self._flowing.clear()

    async def _drop(self) -> None:
        for writer in self._writers:
            writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self._writers.add(writer)
        try:
            with contextlib.suppress(OSError, asyncio.IncompleteReadError):
                await self._flowing.wait()
                if self._status is None:
                    await self._connect(reader, writer)
                else:
                    await _answer(reader, writer, self._status)
        finally:
            writer.close()
            self._writers.discard(writer)
            self._tasks.discard(task)

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if isinstance(self._target, Path):
            server, to_server = await asyncio.open_unix_connection(self._target)
        else:
            server, to_server = await asyncio.open_connection(*self._target)
        self._writers.add(to_server)
        try:
            await asyncio.gather(self._pass(reader, to_server, counted=False), self._pass(server, writer, counted=True))
        finally:
            to_server.close()
            self._writers.discard(to_server)

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, counted: bool) -> None:
        while data := await reader.read(1 << 16):
            await self._flowing.wait()
            if counted and self._flip is not None:
                data = self._flipped(data, self._flip)
            if counted and self._left is not None:
                data = data[: self._left]
                self._left -= len(data)
            writer.write(data)
            await writer.drain()
            if self._left == 0:
                raise ConnectionResetError
        writer.close()

    def _flipped(self, data: bytes, after: int) -> bytes:
        self._flip = after - len(data) if after >= len(data) else None
        return data if after >= len(data) else data[:after] + bytes([data[after] ^ 1]) + data[after + 1 :]


async def _answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, status: int) -> None:
    head = (await reader.readuntil(b"\r\n\r\n")).lower()
    _, _, length = head.partition(b"content-length:")
    # Who expects "100 continue" has not sent the body yet, and need not.
    if length and b"100-continue" not in head:
        await reader.readexactly(int(length.split(b"\r\n", 1)[0]))
    writer.write(b"HTTP/1.1 %d injected\r\ncontent-length: 0\r\nconnection: close\r\n\r\n" % status)
    await writer.drain()
