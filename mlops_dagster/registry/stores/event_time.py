"""The time of an event: it only goes forward, so that answers about a past time stay true.

`as_of(T)` is answered by the last event up to T. A new event with an earlier time would change the answer for every
time after it: the version that a report is about, and the version that answered a request at that time.
"""

from datetime import datetime, timedelta
from typing import NamedTuple

from mlops_dagster.errors import EventTimeError

CLOCKS_DIFFER = timedelta(minutes=5)
"""Clocks of two machines count as equal within this difference."""
LATE = timedelta(days=1)
"""A replayed clock follows its traffic and may lag this far behind; an earlier time was set on purpose."""


class EventTimes(NamedTuple):
    """The time of an event by the registry's clock (`at`), and of its writing by the machine's (`recorded_at`)."""

    at: datetime
    recorded_at: datetime


def event_time(
    asked: datetime, machine: datetime, last: EventTimes | None, *, model: str, urgent: bool = False
) -> datetime:
    """Return the time of a new event of `model`: `asked`, or the registry's present if the clock lags behind it.

    The present is the time of the last event. If that event was written as it happened, the registry is live, and its
    present is the machine's time: reports have been made of the time since the last event.

    Args:
        asked: the time by the clock of the writing session.
        machine: the time by the machine's clock.
        last: the times of the model's last event; None before there is one.
        model: the name, for the message.
        urgent: the event takes a bad version out; it is never refused for a wrong clock, and happens at present.

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
            "change now, or replay that time in a separate registry (another MLOPS_HOME)"
        )
    return max(present, at)
