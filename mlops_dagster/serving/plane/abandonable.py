"""A worker thread whose current job can be abandoned after a timeout; a new thread takes over the queue."""

import logging
import threading
import weakref
from collections.abc import Callable
from queue import SimpleQueue
from typing import TypeVar

from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]  # it ships no types

Outcome = TypeVar("Outcome")
Work = Callable[[], None]

logger = logging.getLogger(__name__)

MOST_STUCK = 3  # a thread that hangs cannot be ended: with so many of them, no more work is tried


class AbandonableWorker:
    """A worker thread that does one piece of work after the other, and leaves one that hangs to a thread given up."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._stuck: list[threading.Thread] = []
        self._begin()

    def start(self, work: Callable[[], Outcome], late: Callable[[], Outcome], done: Callable[[Outcome], None]) -> Work:
        """Call `done` with the outcome of `work`, both in the worker's thread; neither may raise.

        Returns a function that gives up: unless `work` has ended by then, `done(late())` is called in its place, in a
        new thread, and a later outcome of `work` is dropped. While MOST_STUCK threads hang, `done(late())` is called
        without trying `work`.
        """
        taken = threading.Lock()  # taken by the first outcome, that of `work` or of `late`

        def run(to_run: Callable[[], Outcome]) -> None:
            outcome = to_run()
            if taken.acquire(blocking=False):
                done(outcome)

        def give_up() -> None:
            if taken.acquire(blocking=False):
                self._leave()
                self._works.put(lambda: done(late()))

        self._works.put(lambda: run(late if self._blocked() else work))
        return give_up

    def _blocked(self) -> bool:
        self._stuck = [thread for thread in self._stuck if thread.is_alive()]
        return len(self._stuck) >= MOST_STUCK

    def _leave(self) -> None:
        """Begin a new thread; the old one ends once its current work does."""
        self._stuck.append(self._thread)
        self._end()
        self._begin()

    def _begin(self) -> None:
        works: SimpleQueue[Work | None] = SimpleQueue()
        self._works = works
        self._thread = threading.Thread(target=_run, args=(works,), name=self._name, daemon=True)
        self._thread.start()
        self._end = weakref.finalize(self, works.put, None)  # ends the thread when this object is freed


def _run(works: "SimpleQueue[Work | None]") -> None:
    # OpenMP's threads spin while they wait for each other: twice the CPU, and no faster on such small batches.
    threadpool_limits(1)
    while (work := works.get()) is not None:
        try:
            work()
        except BaseException:  # if the thread ended, all work that waits would be lost
            logger.exception("work in a worker thread raised, which it must not")
        del work  # it may hold the last reference to the AbandonableWorker, which must be freed
