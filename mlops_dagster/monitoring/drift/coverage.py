"""Of which part of a window there are counts: hours in which nothing was served are no drift of the time of day.

A model that went live in the evening, an outage, a feature that is counted in new bins since noon: what is there of
such a window differs from whole days, and by how much follows from how many rows its missing hours usually have.
"""

from collections import defaultdict
from collections.abc import Mapping
from datetime import datetime, timedelta
from statistics import mean
from typing import Final, NamedTuple

import numpy as np

from mlops_dagster.statistics import Counts

HISTORY: Final = timedelta(days=7)
"""So long before a window, what an hour of the day usually has is looked up."""

_HOUR = timedelta(hours=1)
_BEYOND = 0.1


class Coverage(NamedTuple):
    """The hours of a window that were counted, of those that usually have rows, and their usual share of the rows."""

    hours: int
    usual: int
    share: float
    """0 to 1; 0 where it is not known."""

    def explains(self, before: Counts, after: Counts) -> bool:
        """Whether the missing hours may be all that is between these counts of the same groups.

        What is there has of no group more than its usual share over `share`: of a group that there never was, nothing.
        A tenth of the rows may be beyond that, for no day is quite as usual.

        >>> half = Coverage(12, 24, 0.5)
        >>> [half.explains(np.array([9, 1]), np.array(after)) for after in ([8, 2], [5, 5])]
        [True, False]
        """
        usual, now = before / before.sum(), after / after.sum()
        most = np.minimum(usual / self.share, 1.0) if self.share else usual > 0
        return self.share < 1 and float(np.maximum(now - most, 0.0).sum()) < _BEYOND

    def explains_distance(self, distance: float) -> bool:
        """The same of a Kolmogorov-Smirnov distance, which is 1 - `share` at most.

        >>> Coverage(18, 24, 0.75).explains_distance(0.2), WHOLE.explains_distance(0.0)
        (True, False)
        """
        return self.share < 1 and distance <= 1 - self.share

    def __str__(self) -> str:
        return f"the window covers {self.hours} of {self.usual} hours"


WHOLE: Final = Coverage(1, 1, 1.0)


def coverage(
    counted: Mapping[datetime, int], rows: Mapping[datetime, int], since: datetime, until: datetime
) -> Coverage:
    """The coverage of [since, until), widened to whole hours.

    `counted` has the rows of each hour that the window's counts are of, `rows` all of them, and of the week before too.
    A model without an earlier hour has no usual ones: then each hour is taken to have rows, and their share is unknown.

    >>> from datetime import UTC
    >>> noon = datetime(2026, 3, 1, 12, tzinfo=UTC)
    >>> before = {noon - timedelta(hours=hour): 10 for hour in range(1, 100)}
    >>> coverage({noon: 9}, {**before, noon: 9}, noon, noon + timedelta(hours=4))
    Coverage(hours=1, usual=4, share=0.25)
    >>> coverage({noon: 9}, {noon: 9}, noon, noon + timedelta(hours=4))
    Coverage(hours=1, usual=4, share=0.0)
    """
    first = since.replace(minute=0, second=0, microsecond=0)
    hours = [first + number * _HOUR for number in range(-((first - until) // _HOUR))]
    usual: defaultdict[int, list[int]] = defaultdict(list)
    for hour, n in rows.items():
        if hour < first:
            usual[hour.hour].append(n)
    expected = {hour: mean(usual[hour.hour]) for hour in hours if hour.hour in usual} or dict.fromkeys(hours, 0.0)
    there = [hour for hour in expected if counted.get(hour)]
    total = sum(expected.values())
    if len(there) == len(expected):
        return WHOLE
    return Coverage(len(there), len(expected), sum(expected[hour] for hour in there) / total if total else 0.0)
