"""Trials of versions: each is made once a machine, one at a time, and its report is kept under the trial's name."""

import fcntl
import logging
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from mlops_dagster.errors import ServerError, TrialFailedError
from mlops_dagster.settings import Settings
from mlops_dagster.trial.process import TrialProcess, shared_process
from mlops_dagster.trial.report import Report, Verdict
from mlops_dagster.trial.subject import Limits, Subject

logger = logging.getLogger(__name__)

UNFINISHED_HOLDS: Final = 600.0
"""Seconds for which a version with the verdict UNFINISHED is not tried again."""


class Trials:
    """The trials of one home. Any number of processes and threads may share the folder."""

    def __init__(self, settings: Settings, folder: Path, process: TrialProcess | None = None) -> None:
        self._folder = folder
        self._limits = Limits(settings.trial_seconds, settings.trial_memory_mb * 2**20, settings.predict_timeout)
        self._own_types = settings.own_types
        self._process = process or shared_process()

    def prove(self, subject: Subject, bytes_at: Callable[[Path], Path], deaths_allowed: float = 0) -> Report:
        """Return the report of a version that passes, or has passed before; `bytes_at` puts its artifact at a path.

        Raises TrialFailedError if the version does not pass, or killed more workers than `deaths_allowed` after it had
        passed; ServerError if the trial cannot be made; and the errors of `bytes_at`.
        """
        report = self.remembered(subject)
        if report is None:
            with self._alone():
                report = self.remembered(subject) or self._tried(subject, bytes_at)
        if report.verdict is Verdict.PASSED or (report.verdict is Verdict.KILLED and report.deaths <= deaths_allowed):
            return report
        what = "failed its trial" if report.deaths == 0 else "is not loaded"
        raise TrialFailedError(
            f"{subject.model} {subject.version} {what}: {report.reason} (remembered in {self.file(subject)}; it is "
            "tried again when that is removed)",
            report.deaths,
        )

    def remembered(self, subject: Subject) -> Report | None:
        """Return the report that is kept of the version on this machine; None if the version has to be tried."""
        file = self.file(subject)
        report = Report.read(file)
        if report is not None and report.verdict is Verdict.UNFINISHED:
            try:
                age = time.time() - file.stat().st_mtime
            except OSError:
                return None
            return report if age <= UNFINISHED_HOLDS else None
        return report

    def _tried(self, subject: Subject, bytes_at: Callable[[Path], Path]) -> Report:
        with tempfile.TemporaryDirectory(prefix="mlops-trial-") as folder:
            path = bytes_at(Path(folder, "model"))
            report = self._process.run(subject.job(path, self._limits, self._own_types), self._limits.seconds)
        logger.info(
            "trial of %s %s: %s in %.2f s with %d MB",
            subject.model, subject.version, report.verdict, report.seconds, report.memory_bytes >> 20,
        )  # fmt: skip
        for note in report.notes:
            logger.warning("%s %s passed its trial, and %s", subject.model, subject.version, note)
        report.keep(self.file(subject))
        return report

    def file(self, subject: Subject) -> Path:
        """Return the file that keeps the report of the version's trial."""
        return self._folder / f"{subject.key(self._limits, self._own_types)}.json"

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Hold the lock of this home's trials: one trial at a time takes little CPU from the processes that serve."""
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            lock = Path(self._folder, ".lock").open("ab")  # noqa: SIM115  # errors inside are not the folder's
        except OSError as error:
            raise ServerError(f"no trial can be made in {self._folder}: {error.strerror}; make it writable") from error
        with lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
