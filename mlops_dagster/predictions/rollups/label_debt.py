"""The label debt: answers whose label has not come yet."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import accumulate


@dataclass(frozen=True, slots=True)
class LabelDebt:
    """The answers of a window, and how many of them have no label yet. Times are exact to the minute."""

    answers: int
    awaiting: int
    oldest_at: datetime | None
    median_at: datetime | None
    """Half of the awaited labels are of older answers. The oldest alone says little: some labels never come."""

    @staticmethod
    def of(minutes: Sequence[tuple[datetime, int, int]]) -> "LabelDebt":
        """Return the debt of these minutes, oldest first: (minute, answers, answers without a label)."""
        waiting = [(at, awaiting) for at, _, awaiting in minutes if awaiting > 0]
        half = sum(awaiting for _, awaiting in waiting) / 2
        reached = accumulate(awaiting for _, awaiting in waiting)
        median = next((at for (at, _), so_far in zip(waiting, reached, strict=True) if so_far >= half), None)
        oldest = waiting[0][0] if waiting else None
        return LabelDebt(sum(n for _, n, _ in minutes), sum(n for _, n in waiting), oldest, median)
