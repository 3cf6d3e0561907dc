"""Labels on their way: every label is held back until the time it would have been known."""

import heapq
from collections.abc import Iterator
from datetime import datetime
from typing import NamedTuple


class DueLabel(NamedTuple):
    """The true class of one prediction, and the time it becomes known."""

    known_at: datetime
    prediction_id: str
    label: str
    plane: int = 0
    """The number of the data plane that answered."""


class Labels:
    """Labels that wait for their time, the earliest first.

    >>> from datetime import UTC
    >>> labels = Labels()
    >>> labels.add(DueLabel(datetime(2013, 3, 1, 9, tzinfo=UTC), "b", "late"))
    >>> labels.add(DueLabel(datetime(2013, 3, 1, 8, tzinfo=UTC), "a", "on_time"))
    >>> [label.prediction_id for label in labels.due(datetime(2013, 3, 1, 8, 30, tzinfo=UTC))]
    ['a']
    >>> len(labels)
    1
    """

    def __init__(self) -> None:
        self._waiting: list[DueLabel] = []

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, label: DueLabel) -> None:
        heapq.heappush(self._waiting, label)

    def due(self, now: datetime) -> Iterator[DueLabel]:
        """Yield and remove the labels that are known by `now`, in order of time."""
        while self._waiting and self._waiting[0].known_at <= now:
            yield heapq.heappop(self._waiting)
