"""The inquest after the death of a worker: finds the version that killed it, and keeps that from being loaded again.

The verdict is written to the report of the version's trial, which each worker reads before it loads a version. So it
holds at once, also while the registry is away, and the worker that is started next tells the registry.
"""

import logging
import time
from dataclasses import replace
from pathlib import Path

from mlops_dagster.serving.processes.at_work import Work, at_work, crashed_thread, traces
from mlops_dagster.serving.processes.culprits import WITHIN_SECONDS, Death, blamed, killers
from mlops_dagster.trial import Report, Verdict

logger = logging.getLogger(__name__)


class Inquest:
    """An inquiry into deaths of workers; `folder` has the files that they leave, `trials` the reports of trials."""

    def __init__(self, folder: Path, trials: Path) -> None:
        self._folder = folder
        self._trials = trials
        self._deaths: list[Death] = []
        self._out_of_memory = _out_of_memory()

    def hold(self, worker: str, code: int, *, hung: bool) -> bool:
        """Blame the versions that may have killed the worker; return whether there are any.

        A version that is proven guilty gets the verdict KILLED; a suspicion is logged. `code` is the exit code, `hung`
        whether the supervisor killed the worker because it gave no sign of life.
        """
        death = self._death(worker, code, hung=hung)
        self._deaths = [old for old in self._deaths if death.at - old.at <= WITHIN_SECONDS] + [death]
        proven = killers(self._deaths)
        for work in blamed(death):
            if work in proven:
                self._condemn(work, proven[work], death)
            else:
                logger.error("%s may have died of %s %s: %s", worker, work.model, work.version, death.how)
        return bool(blamed(death))

    def _death(self, worker: str, code: int, *, hung: bool) -> Death:
        dump, marks = traces(self._folder, worker)
        said = dump.read_text(errors="replace") if dump.exists() else ""
        if said:
            logger.error("stacks of the threads of %s when it died:\n%s", worker, said)
        before, self._out_of_memory = self._out_of_memory, _out_of_memory()
        death = Death(
            time.monotonic(), code, hung, self._out_of_memory > before, crashed_thread(said), tuple(at_work(marks))
        )
        for file in (dump, marks):
            file.unlink(missing_ok=True)  # a worker that died before it opened them ran no version
        return death

    def _condemn(self, work: Work, deaths: int, death: Death) -> None:
        file = self._trials / work.trial
        before = Report.read(file) or Report(Verdict.KILLED)
        reason = (
            f"it killed {deaths} worker{'s' if deaths > 1 else ''} of the data plane while it was loaded or scored "
            f"({death.how}); the log of `mlops serve` says where it was; make its file anew with the libraries that "
            "are installed here"
        )
        replace(before, verdict=Verdict.KILLED, reason=reason, deaths=deaths).keep(file)
        logger.error("%s %s: %s", work.model, work.version, reason)


def _out_of_memory() -> int:
    """Return the number of processes that the kernel has killed for lack of memory; 0 if it does not tell."""
    try:
        lines = Path("/proc/vmstat").read_text().splitlines()
    except OSError:  # not Linux
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("oom_kill ")), 0)
