"""After a worker has died: which version has killed it, and that it is loaded no more.

The verdict is written beside the trials of versions, where each worker looks before it loads one. So it holds at once,
also while the registry is away, and the worker that is started next tells the registry.
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
    """Looks into the deaths of workers. `folder` has what they leave behind, `trials` what is known of versions."""

    def __init__(self, folder: Path, trials: Path) -> None:
        self._folder = folder
        self._trials = trials
        self._deaths: list[Death] = []
        self._out_of_memory = _out_of_memory()

    def hold(self, worker: str, code: int, *, hung: bool) -> bool:
        """Blame the versions that the worker died of, if it did; return whether there may be any."""
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
            logger.error("%s was at this when it died:\n%s", worker, said)
        before, self._out_of_memory = self._out_of_memory, _out_of_memory()
        death = Death(
            time.monotonic(), code, hung, self._out_of_memory > before, crashed_thread(said), tuple(at_work(marks))
        )
        for file in (dump, marks):
            file.unlink(missing_ok=True)  # who dies before it has opened them was at nothing
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
    """How many processes the kernel has killed for want of memory; 0 where it does not say."""
    try:
        lines = Path("/proc/vmstat").read_text().splitlines()
    except OSError:  # not Linux
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("oom_kill ")), 0)
