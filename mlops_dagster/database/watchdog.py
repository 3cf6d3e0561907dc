"""A watchdog that cuts connections to a PostgreSQL server that hangs: libpq would wait for its answer for ever."""

import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

PATIENCE_SECONDS = 65.0
"""The time limit of one transaction; the server itself ends a statement after 60 s, with an error that says why."""

_TICK_SECONDS = 0.5


class Watchdog:
    """One thread that watches every transaction of the process; the first transaction starts it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._deadlines: dict[int, float] = {}
        self._thread: threading.Thread | None = None

    @contextmanager
    def watching(self, descriptor: int, seconds: float | None = None) -> Iterator[None]:
        """Shut down the socket `descriptor` if the block takes longer than `seconds`, so that its reader stops waiting.

        The default of `seconds` is PATIENCE_SECONDS.
        """
        with self._lock:
            self._deadlines[descriptor] = time.monotonic() + (PATIENCE_SECONDS if seconds is None else seconds)
            if self._thread is None or not self._thread.is_alive():  # a forked process has none of its parent's threads
                self._thread = threading.Thread(target=self._watch, name="database-watchdog", daemon=True)
                self._thread.start()
        try:
            yield
        finally:
            with self._lock:
                del self._deadlines[descriptor]

    def _watch(self) -> None:
        while True:
            time.sleep(_TICK_SECONDS)
            with self._lock:  # so that the descriptor is still the connection's
                late = [each for each, deadline in self._deadlines.items() if deadline < time.monotonic()]
                for descriptor in late:
                    with socket.socket(fileno=os.dup(descriptor)) as connection, suppress(OSError):  # it is cut already
                        connection.shutdown(socket.SHUT_RDWR)


WATCHDOG = Watchdog()
