"""Clocks, and the reading of times. All times are UTC and aware.

>>> clock = ReplayedClock(datetime(2013, 3, 1, tzinfo=UTC))
>>> clock.advance_to(datetime(2013, 3, 2, tzinfo=UTC))
>>> clock.advance_to(datetime(2013, 3, 1, tzinfo=UTC))  # time never runs back
>>> clock.now().isoformat()
'2013-03-02T00:00:00+00:00'
"""

import threading
from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    def now(self) -> datetime:
        """Return the current time, UTC and aware."""
        ...


class SystemClock:
    """The machine's clock."""

    def now(self) -> datetime:
        return datetime.now(UTC)


class ReplayedClock:
    """A clock that shows the latest time it was given: for recorded traffic, an `as_of`, or a test."""

    def __init__(self, start: datetime) -> None:
        self._now = in_utc(start)
        self._lock = threading.Lock()

    def now(self) -> datetime:
        return self._now

    def advance_to(self, time: datetime) -> None:
        """Move on to `time`; an earlier time changes nothing."""
        with self._lock:
            self._now = max(self._now, in_utc(time))


def in_utc(time: datetime) -> datetime:
    """Return `time` in UTC; raises ValueError if it is naive."""
    if time.tzinfo is None:
        raise ValueError(f"the time {time.isoformat()} has no time zone; add one, e.g. +00:00")
    return time.astimezone(UTC)


def parse_time(text: str) -> datetime:
    """Return the time of an ISO 8601 text in UTC; raises ValueError if the text is not one, or names no zone.

    Years before 1000 and after 8999 are refused too: windows around such a time may not exist.

    >>> parse_time("2013-03-01T06:00:00Z").isoformat()
    '2013-03-01T06:00:00+00:00'
    >>> parse_time("0001-01-01T00:00Z")
    Traceback (most recent call last):
    ValueError: the year of 0001-01-01T00:00Z is not between 1000 and 8999
    """
    found = datetime.fromisoformat(text)
    if not 1000 <= found.year < 9000:
        raise ValueError(f"the year of {text} is not between 1000 and 8999")
    return in_utc(found)


def time_text(time: datetime) -> str:
    """Return the time as text, in UTC with microseconds, so that texts sort as the times do.

    >>> time_text(datetime(2013, 3, 1, tzinfo=UTC))
    '2013-03-01T00:00:00.000000+00:00'
    """
    return in_utc(time).isoformat(timespec="microseconds")
