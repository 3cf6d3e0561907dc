"""Periodic tasks in the background."""

import logging
import threading
from collections.abc import Callable

from mlops_dagster.errors import MlopsError
from mlops_dagster.serving.telemetry.telemetry import Telemetry

logger = logging.getLogger(__name__)


MOST_SECONDS = 60.0
"""The longest pause between two tries of work that fails with a foreign error, which may come again for hours."""


class PeriodicTask:
    """A thread that calls `work` every `seconds`, also after it failed, and with `at_once` when it starts.

    No error of `work` ends the thread, not even one that is not an Exception, such as the panic of a library in Rust:
    the work would stop silently, and for good. After an error that is not one of ours the pause doubles.
    """

    def __init__(
        self, name: str, seconds: float, work: Callable[[], object], telemetry: Telemetry, *, at_once: bool = False
    ) -> None:
        self.name, self._seconds, self._work, self._telemetry = name, seconds, work, telemetry
        self._at_once = at_once
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._failures = 0
        self._pause = seconds
        self._trouble = ""
        self.successes = 0
        """The number of rounds that raised no error."""
        telemetry.begin_task(name)

    @property
    def trouble(self) -> str | None:
        """The code or class of the error of the last round, None if that worked; never a foreign error's text."""
        return self._trouble if self._failures else None

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Stop the task, and return once a call of `work` that is under way has ended."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        if self._at_once:
            self._round()
        while not self._stopping.wait(self._pause):
            self._round()

    def _round(self) -> None:
        try:
            self._work()
        except BaseException as error:
            # A database or disk that is away comes back: the data plane goes on serving what it knows.
            self._failed(error)
        else:
            self._worked()

    def _failed(self, error: BaseException) -> None:
        """Count a failure, and set the pause; the first failure of a row is logged, as others soon follow."""
        self._failures += 1
        self._telemetry.failed(self.name)
        ours = isinstance(error, MlopsError)
        self._trouble = error.code if isinstance(error, MlopsError) else type(error).__name__
        self._pause = self._seconds if ours else min(self._pause * 2, max(MOST_SECONDS, self._seconds))
        if self._failures == 1:
            trace = None if ours else error  # our own errors need no traceback
            logger.error("%s failed and is tried again in %g s: %s", self.name, self._pause, error, exc_info=trace)

    def _worked(self) -> None:
        if self._failures:
            logger.warning("%s works again, after it failed %d times", self.name, self._failures)
        self.successes += 1
        self._failures = 0
        self._pause = self._seconds
