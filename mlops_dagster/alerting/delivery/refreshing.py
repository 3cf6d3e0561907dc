"""The choice of messages that are sent again to a channel that takes silence for the end of an alert."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import Connection, func, select

from mlops_dagster.alerting.channels.message import Action
from mlops_dagster.alerting.delivery.entry import Entry, State, entry_of
from mlops_dagster.alerting.delivery.tables import outbox
from mlops_dagster.documents.readable import readable

AFTER_THE_END: Final = timedelta(minutes=5)
"""The time for which the end of an alert is sent again."""

_STATES = [action.value for action in (Action.OPEN, Action.UPDATE, Action.RESOLVE, Action.MUTE)]


def to_refresh(connection: Connection, channel: str, now: datetime) -> Sequence[Entry]:
    """Return the last message of each alert that is open in the channel, or has ended lately."""
    last = (
        select(func.max(outbox.c.id))
        .where(outbox.c.channel == channel, outbox.c.state == State.SENT.value, outbox.c.action.in_(_STATES))
        .group_by(outbox.c.key)
    )
    rows = connection.execute(select(outbox).where(outbox.c.id.in_(last)).order_by(outbox.c.id)).mappings()
    found = readable(rows, entry_of)
    return [each for each in found if each.asked is not Action.RESOLVE or now - _done_at(each) < AFTER_THE_END]


def _done_at(entry: Entry) -> datetime:
    return entry.done_at or entry.enqueued_at
