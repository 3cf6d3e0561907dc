"""Rules that find the version to blame for the death of a worker; pure.

A version that is taken out wrongly costs a rollout; one that is left in costs every model its answers. So a crash in a
version's own thread, or while no other version was at work, is proof. If several were at work, it takes two deaths.
"""

import signal
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from mlops_dagster.serving.processes.at_work import Work

WITHIN_SECONDS: Final = 600.0
"""Deaths that are further apart are taken for unrelated."""
SUSPICIONS: Final = 2
"""The number of deaths that prove a version guilty which was never at work alone."""
_CRASHES: Final = frozenset(
    {signal.SIGABRT, signal.SIGBUS, signal.SIGFPE, signal.SIGILL, signal.SIGSEGV, signal.SIGSYS, signal.SIGTRAP}
)


@dataclass(frozen=True, slots=True)
class Death:
    """The unexpected end of a worker; `at` is in seconds, of any clock."""

    at: float
    code: int
    """The exit code of the process: less than 0 for a signal."""
    hung: bool
    """Whether the worker was killed because it gave no sign of life."""
    out_of_memory: bool
    """Whether the kernel has killed processes for lack of memory since the last death."""
    crashed: int | None
    """The thread that crashed; None if it is not known."""
    work: tuple[Work, ...]

    @property
    def how(self) -> str:
        if self.hung:
            return "it gave no sign of life"
        if self.code == -signal.SIGKILL:
            return "the machine was out of memory"
        return signal.Signals(-self.code).name


def blamed(death: Death) -> tuple[Work, ...]:
    """Return the versions that may have killed the worker; none if it died of another cause."""
    crash = -death.code in _CRASHES and not death.hung
    if not (crash or death.hung or (death.code == -signal.SIGKILL and death.out_of_memory)):
        return ()
    if crash and death.crashed is not None:
        return tuple(work for work in death.work if work.thread == death.crashed)
    return death.work  # a thread that is not one of Python's may work for any of them


def killers(deaths: Sequence[Death]) -> dict[Work, int]:
    """Return the versions that the last of these deaths proves guilty, with the number of workers each has killed."""
    last = deaths[-1]
    near = [death for death in deaths if last.at - death.at <= WITHIN_SECONDS]
    suspicions: defaultdict[str, list[bool]] = defaultdict(list)
    for death in near:
        trials = {work.trial for work in blamed(death)}
        for trial in trials:
            suspicions[trial].append(len(trials) == 1)
    return {
        work: len(suspicions[work.trial])
        for work in {work.trial: work for work in blamed(last)}.values()
        if any(suspicions[work.trial]) or len(suspicions[work.trial]) >= SUSPICIONS
    }
