"""Up to when labels are complete: predictions are judged by their labels only once nearly all of those are known.

Labels of one class, of one arm, or of wrong answers may come sooner than others, or only they may come at all. What has
come by some moment then says nothing about what is still to come. So predictions of a time count together, or not yet.
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

    They are, if at least `share` of the predictions have a label: of all, and of those of the last 10, 20, 40...
    minutes before that time. A few that never come do no harm; some hours of which only the quick ones have come do.

    Args:
        arms: for each arm the cohorts of its predictions, by the time at which their ten minutes begin.
        share: of the predictions, over 0 and at most 1.
        before: predictions from then on are too young to be judged; None if none is.

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
    """The cohorts of one arm, added up from the first on."""

    def __init__(self, arm: Mapping[datetime, Cohort]) -> None:
        self._begins = sorted(arm)
        self._units = [0, *accumulate(arm[begin].units for begin in self._begins)]
        self._labelled = [0, *accumulate(arm[begin].labelled for begin in self._begins)]

    def is_complete(self, end: datetime, share: float) -> bool:
        """Whether the labels before `end` are, as a whole and lately."""
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
