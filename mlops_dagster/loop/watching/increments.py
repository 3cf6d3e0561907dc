"""Counts that have come since the last look, from the totals of steps, which grow as late counts arrive."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import NamedTuple


class Count(NamedTuple):
    """Bad events, and the trials that they are among."""

    bad: int
    trials: int


class Increment(NamedTuple):
    """The counts that are new, and the totals to keep for the next look."""

    new: Count
    kept: tuple[float, ...]


def increment(kept: tuple[float, ...], totals: Mapping[datetime, Count], since: datetime) -> Increment:
    """Return the counts in `totals` over those that were kept, and what is to be kept.

    Kept totals of steps before `since` are forgotten, and those of steps that `totals` lacks stay. A total that has
    become smaller (counts were made anew) is taken over, and is no new count.

    >>> first = datetime(2026, 3, 1, tzinfo=UTC)
    >>> begun = increment((), {first: Count(3, 40)}, first)
    >>> increment(begun.kept, {first: Count(5, 70)}, first).new
    Count(bad=2, trials=30)
    """
    before = {kept[at]: Count(int(kept[at + 1]), int(kept[at + 2])) for at in range(0, len(kept), 3)}
    after = {at: count for at, count in before.items() if at >= since.timestamp()}
    bad = trials = 0
    for at, total in totals.items():
        if at >= since:
            known = before.get(at.timestamp(), Count(0, 0))
            more = max(total.trials - known.trials, 0)
            trials += more
            bad += min(max(total.bad - known.bad, 0), more)
            after[at.timestamp()] = total
    return Increment(Count(bad, trials), tuple(float(each) for at in sorted(after) for each in (at, *after[at])))


def hour_of(time: datetime) -> datetime:
    """Return the beginning of the hour, UTC."""
    return time.astimezone(UTC).replace(minute=0, second=0, microsecond=0)


def day_of(time: datetime) -> datetime:
    """Return the beginning of the day, UTC."""
    return hour_of(time).replace(hour=0)
