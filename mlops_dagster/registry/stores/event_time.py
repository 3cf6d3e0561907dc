"""The time of an event: it goes forward, so that what the registry said of a past time stays true.

`as_of(T)` is answered by the last event up to T. An event with a time before that would change the answer for every
later one: which version a report is about, and which version a request of that time was answered by.
"""

from datetime import datetime, timedelta
from typing import NamedTuple

from mlops_dagster.errors import EventTimeError

CLOCKS_DIFFER = timedelta(minutes=5)
"""Clocks of machines that are taken for the same time."""
LATE = timedelta(days=1)
"""A replayed clock follows its traffic, and may lag so far behind; a time that is earlier was chosen by somebody."""


class EventTimes(NamedTuple):
    """When an event happened, by the clock of its registry, and when it was written, by the machine's clock."""

    at: datetime
    recorded_at: datetime


def event_time(
    asked: datetime, machine: datetime, last: EventTimes | None, *, model: str, urgent: bool = False
) -> datetime:
    """Return the time of a new event of `model`: `asked`, or the present of its registry where the clock lags.

    The present is the time of the last event. If that was written as it happened, the registry is live, and its present
    is the machine's time: the time since then has been lived, and reports have been made of it.

    Args:
        asked: by the clock of whoever writes.
        machine: by the machine's clock.
        last: of the model's last event; None before there is one.
        model: for the message.
        urgent: what takes a bad version out is never refused for a wrong clock; it happens at present.

    Raises EventTimeError for a time over five minutes ahead of the machine's, or over a day before the present.

    >>> from datetime import UTC
    >>> march = datetime(2013, 3, 1, tzinfo=UTC)
    >>> last = EventTimes(march, recorded_at=datetime(2026, 1, 1, tzinfo=UTC))  # a replayed registry
    >>> event_time(march + LATE, datetime(2026, 1, 1, tzinfo=UTC), last, model="flights").isoformat()
    '2013-03-02T00:00:00+00:00'
    >>> event_time(march - timedelta(hours=1), datetime(2026, 1, 1, tzinfo=UTC), last, model="flights").isoformat()
    '2013-03-01T00:00:00+00:00'
    """
    at = min(asked, machine)
    present = at if last is None else last.at
    if last is not None and last.recorded_at - last.at <= CLOCKS_DIFFER:
        present = max(present, machine)
    if not urgent and asked > machine + CLOCKS_DIFFER:
        raise EventTimeError(
            f"an event of {model} is to happen at {asked.isoformat()}, but it is {machine.isoformat()}: until then "
            "nothing else could be told of the model; correct the year, or the clock of this machine"
        )
    if not urgent and asked < present - LATE:
        raise EventTimeError(
            f"an event of {model} is to happen at {asked.isoformat()}, but its registry has come to "
            f"{present.isoformat()}, and what it said of the time between would change; leave the time out to make the "
            "change now, or replay that time in a registry of its own (another MLOPS_HOME)"
        )
    return max(present, at)
