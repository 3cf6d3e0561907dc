"""Work that repeats beside the requests."""

import logging
import threading
from collections.abc import Callable

from mlops_dagster.errors import MlopsError
from mlops_dagster.serving.telemetry import Telemetry

logger = logging.getLogger(__name__)


class Repeating:
    """Calls `work` every `seconds` in a thread of its own, and again after it failed; `at_once`, when it starts too."""

    def __init__(
        self, name: str, seconds: float, work: Callable[[], object], telemetry: Telemetry, *, at_once: bool = False
    ) -> None:
        self._name, self._seconds, self._work, self._telemetry = name, seconds, work, telemetry
        self._at_once = at_once
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._failures = 0

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Return once the call at work, if any, has ended."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        if self._at_once:
            self._round()
        while not self._stopping.wait(self._seconds):
            self._round()

    def _round(self) -> None:
        try:
            self._work()
        except Exception as error:
            # A database or disk that is away comes back: the data plane goes on serving what it knows.
            self._failed(error)
        else:
            self._worked()

    def _failed(self, error: Exception) -> None:
        """Every failure counts; the first of a row is told, in a second the next comes."""
        self._failures += 1
        self._telemetry.failed(self._name)
        if self._failures == 1:
            trace = None if isinstance(error, MlopsError) else error  # those of our own tree say all in one line
            logger.error(
                "%s failed and is tried again every %g s: %s", self._name, self._seconds, error, exc_info=trace
            )

    def _worked(self) -> None:
        if self._failures:
            logger.warning("%s works again, after it failed %d times", self._name, self._failures)
        self._failures = 0
