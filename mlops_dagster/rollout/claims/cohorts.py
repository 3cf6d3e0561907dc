"""Completeness of labels: predictions are judged by their labels only once nearly all of these are known.

Labels of one class, of one arm, or of wrong answers may come sooner than others, or be the only ones to come at all.
Labels that have come by some moment then tell nothing about those still to come. So predictions of one stretch of time
count together, or not yet.
"""

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from datetime import datetime
from itertools import accumulate

from mlops_dagster.predictions import COHORT, Cohort


def complete_until(
    arms: Sequence[Mapping[datetime, Cohort]], share: float, before: datetime | None = None
) -> datetime | None:
    """Return the latest time up to which the labels of every arm are complete; None without one.

    Labels are complete if at least `share` of the predictions have one: of all, and of those of the last 10, 20, 40...
    minutes before that time. A few labels that never come do no harm; hours of which only the quick labels have come
    do.

    Args:
        arms: for each arm the cohorts of its predictions, by the time at which their ten minutes begin.
        share: the share of predictions that need a label, over 0 and at most 1.
        before: the time from which predictions are too young to be judged; None if none are.

    >>> from datetime import UTC, timedelta
    >>> nine = datetime(2013, 3, 1, 9, tzinfo=UTC)
    >>> arm = {nine: Cohort(100, 99), nine + COHORT: Cohort(100, 97), nine + 2 * COHORT: Cohort(100, 40)}
    >>> f"{complete_until([arm], 0.95, before=nine + timedelta(hours=1)):%H:%M}"
    '09:20'
    """
    ends = sorted(
        {begin + COHORT for arm in arms for begin in arm if before is None or begin + COHORT <= before}, reverse=True
    )
    sums = [_Sums(arm) for arm in arms]
    return next((end for end in ends if all(arm.is_complete(end, share) for arm in sums)), None)


class _Sums:
    """The cohorts of one arm, as running totals from the first on."""

    def __init__(self, arm: Mapping[datetime, Cohort]) -> None:
        self._begins = sorted(arm)
        self._units = [0, *accumulate(arm[begin].units for begin in self._begins)]
        self._labelled = [0, *accumulate(arm[begin].labelled for begin in self._begins)]

    def is_complete(self, end: datetime, share: float) -> bool:
        """Return whether the labels before `end` are complete, over the whole time and in each recent stretch."""
        last = bisect_left(self._begins, end)
        if not last or not self._reach(0, last, share):
            return False
        back = COHORT
        while (first := bisect_left(self._begins, end - back)) > 0:
            if not self._reach(first, last, share):
                return False
            back *= 2
        return True

    def _reach(self, first: int, last: int, share: float) -> bool:
        units = self._units[last] - self._units[first]
        return self._labelled[last] - self._labelled[first] >= share * units
