"""Threads for work that may hang: who waits for it gives up, and what comes next goes on."""

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

MOST_STUCK = 3  # a thread that hangs cannot be ended: with so many of them, nothing more is tried


class AbandonableWorker:
    """One piece of work after the other, in a thread of its own."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._stuck: list[threading.Thread] = []
        self._begin()

    def start(self, work: Callable[[], Outcome], late: Callable[[], Outcome], done: Callable[[Outcome], None]) -> Work:
        """Call `done` with the outcome of `work`, both in the lane; neither may raise.

        Returns a function that gives up: unless `work` has ended by then, `done(late())` is called in its place, in a
        new thread, and what comes of `work` after all is dropped. While several pieces of work hang, that is done at
        once.
        """
        taken = threading.Lock()  # by whoever is first to have an outcome

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
        """Leave the thread to what it is at; when that ends, it ends."""
        self._stuck.append(self._thread)
        self._end()
        self._begin()

    def _begin(self) -> None:
        works: SimpleQueue[Work | None] = SimpleQueue()
        self._works = works
        self._thread = threading.Thread(target=_run, args=(works,), name=self._name, daemon=True)
        self._thread.start()
        self._end = weakref.finalize(self, works.put, None)  # nobody holds the lane any more


def _run(works: "SimpleQueue[Work | None]") -> None:
    # OpenMP's threads spin while they wait for each other: twice the CPU for no time gained on such small batches.
    threadpool_limits(1)
    while (work := works.get()) is not None:
        try:
            work()
        except BaseException:  # a thread that ends would leave all that waits in it
            logger.exception("work in a lane raised, as none may")
        del work  # it holds the lane, which nobody else may hold any more
