"""The part of a window for which counts exist: hours in which nothing was served are not drift of the time of day.

After a model went live in the evening, after an outage, or when a feature is counted in new bins since noon, the counts
of a window differ from those of whole days. How much follows from the rows that the missing hours usually have.
"""

from collections import defaultdict
from collections.abc import Mapping
from datetime import datetime, timedelta
from statistics import mean
from typing import Final, NamedTuple

import numpy as np

from mlops_dagster.statistics import Counts

HISTORY: Final = timedelta(days=7)
"""The time before a window from which the usual rows of each hour of the day are taken."""

_HOUR = timedelta(hours=1)
_BEYOND = 0.1


class Coverage(NamedTuple):
    """Counted hours of a window, hours that usually have rows, and the usual share of all rows in the counted hours."""

    hours: int
    usual: int
    share: float
    """From 0 to 1; 0 where the share is not known."""

    def explains(self, before: Counts, after: Counts) -> bool:
        """Return whether the missing hours may explain the whole difference between these counts of the same groups.

        The counted hours can hold at most a group's usual share divided by `share`, and nothing of a new group. A tenth
        of the rows may exceed that, because days differ.

        >>> half = Coverage(12, 24, 0.5)
        >>> [half.explains(np.array([9, 1]), np.array(after)) for after in ([8, 2], [5, 5])]
        [True, False]
        """
        usual, now = before / before.sum(), after / after.sum()
        most = np.minimum(usual / self.share, 1.0) if self.share else usual > 0
        return self.share < 1 and float(np.maximum(now - most, 0.0).sum()) < _BEYOND

    def explains_distance(self, distance: float) -> bool:
        """Return whether the missing hours may explain a Kolmogorov-Smirnov distance: they add 1 - `share` at most.

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
    """Return the coverage of [since, until), widened to whole hours.

    `counted` has the rows of each hour that are in the window's counts; `rows` has all rows of each hour, those of the
    week before the window included. A model without an earlier hour has no usual rows: then each hour is expected to
    have rows, and the share is unknown.

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
