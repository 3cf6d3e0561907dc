"""Turns for pipelined requests: one is begun each millisecond, whichever connection sent it."""

import asyncio
from collections import deque
from collections.abc import Callable

PAUSE_SECONDS = 0.001


class Turns:
    """A queue of the pipelined requests of all connections, begun one at a time with pauses between them.

    Hundreds of connections that each send ten requests at once would otherwise keep the event loop busy for 0.1 s: the
    requests of others would wait that long for their pass of the loop, and then again for the interpreter's lock in
    the threads that answer them.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._waiting: deque[Callable[[], None]] = deque()

    def wait(self, begin: Callable[[], None]) -> None:
        """Call `begin` after all that wait already, and after a pause."""
        if not self._waiting:
            self._loop.call_later(PAUSE_SECONDS, self._begin_next)
        self._waiting.append(begin)

    def _begin_next(self) -> None:
        begin = self._waiting.popleft()
        if self._waiting:
            self._loop.call_later(PAUSE_SECONDS, self._begin_next)
        begin()
