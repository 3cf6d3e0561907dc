"""The failed retraining runs that count in a model's budget. Pure."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class FailedRun:
    """A failed retraining run of a model."""

    model: str
    root: str
    """The run that it was launched again for, or the run itself."""
    as_of: datetime
    """The time as of which it trained."""


def failed_at(runs: Iterable[FailedRun], made_good: Collection[str | None]) -> dict[str, list[datetime]]:
    """Return the times of failed retrainings by model; runs of one root are one retraining.

    Args:
        runs: the failed runs, the newest first.
        made_good: the roots for which a later run has succeeded.

    >>> noon, one = datetime(2026, 3, 1, 12), datetime(2026, 3, 1, 13)
    >>> again = [FailedRun("shop", "a", one), FailedRun("shop", "a", noon), FailedRun("cards", "b", one)]
    >>> failed_at(again, made_good=["b"])
    {'shop': [datetime.datetime(2026, 3, 1, 12, 0)]}
    """
    found: dict[str, list[datetime]] = {}
    for run in {run.root: run for run in runs}.values():  # the oldest of each root
        if run.root not in made_good:
            found.setdefault(run.model, []).append(run.as_of)
    return found
