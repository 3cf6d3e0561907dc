"""A transport that sends head and body of an answer in one packet."""

import asyncio


class CoalescedWrites:
    """A transport that gathers the writes of one turn of the event loop, and sends them together at its end.

    uvicorn writes the head of an answer and then its body: each write is a system call, a packet, and a wake-up of the
    client for half an answer. This was a third of the cost of an answer.
    """

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport = transport
        self._loop = loop
        self._parts: list[bytes] = []
        self.is_closing = transport.is_closing  # called several times a request: quicker than by __getattr__

    def write(self, data: bytes) -> None:
        if not self._parts:
            self._loop.call_soon(self._flush)
        self._parts.append(data)

    def write_eof(self) -> None:
        self._flush()
        self._transport.write_eof()

    def close(self) -> None:
        self._flush()
        self._transport.close()

    def abort(self) -> None:
        self._parts.clear()
        self._transport.abort()

    def _flush(self) -> None:
        if self._parts:
            self._transport.write(b"".join(self._parts))
            self._parts.clear()

    def __getattr__(self, name: str) -> object:
        return getattr(self._transport, name)
