"""The queue of one channel: which entries are due, who has them, and what became of them."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import ColumnElement, Connection, and_, func, or_, select, update

from mlops_dagster.alerting.channels.channel import Channel, Receipt
from mlops_dagster.alerting.channels.message import Action, digest_of
from mlops_dagster.alerting.delivery.entry import Entry, State, entry_of
from mlops_dagster.alerting.delivery.tables import outbox
from mlops_dagster.clock import time_text
from mlops_dagster.documents.json_text import json_text
from mlops_dagster.documents.readable import readable

LEASE: Final = timedelta(seconds=60)
"""The time for which a deliverer has an entry; after that another may take it, as the first was killed."""
MOST: Final = 20

_WAITING = outbox.c.state == State.WAITING.value


def due(channel: str, now: datetime, older_than: timedelta = timedelta()) -> ColumnElement[bool]:
    """Return the condition for the first waiting entry of each key that may be tried now.

    Only the first of a key: messages about one alert arrive in their order.
    """
    first = select(func.min(outbox.c.id)).where(outbox.c.channel == channel, _WAITING).group_by(outbox.c.key)
    return and_(
        outbox.c.id.in_(first),
        outbox.c.next_at <= time_text(now),
        or_(outbox.c.leased_until.is_(None), outbox.c.leased_until <= time_text(now)),
        outbox.c.enqueued_at <= time_text(now - older_than),
    )


def claim(
    connection: Connection, channel: Channel, now: datetime, older_than: timedelta
) -> tuple[Sequence[Entry], int]:
    """Lease due entries to the caller, the longest due first.

    Return them as they were before, and the number of those that were superseded, as their alert is over before it was
    told; the next claim finds what remains of them.
    """
    query = select(outbox).where(due(channel.name, now, older_than)).order_by(outbox.c.next_at, outbox.c.id).limit(MOST)
    found = readable(connection.execute(query).mappings(), entry_of)
    kept = [entry for entry in found if not _supersede(connection, channel, entry, now)]
    values = {"leased_until": time_text(now + LEASE), "attempts": outbox.c.attempts + 1, "unsure": True}
    connection.execute(update(outbox).where(outbox.c.id.in_([entry.id for entry in kept])).values(values))
    return kept, len(found) - len(kept)


def release(connection: Connection, entries: Sequence[Entry]) -> None:
    """Give back claimed entries that were not tried."""
    for entry in entries:
        _settle(connection, entry, attempts=entry.attempts, unsure=entry.unsure)


def sent(connection: Connection, entry: Entry, receipt: Receipt, now: datetime) -> None:
    _settle(connection, entry, state=State.SENT.value, receipt=json_text(receipt), error="", done_at=time_text(now))


def failed(connection: Connection, entry: Entry, error: str, next_at: datetime, *, unsure: bool) -> None:
    """Keep an entry for a later try."""
    _settle(connection, entry, error=error, next_at=time_text(next_at), unsure=unsure or entry.unsure)


def given_up(connection: Connection, entry: Entry, error: str, now: datetime, *, unsure: bool) -> None:
    _settle(
        connection,
        entry,
        state=State.DEAD.value,
        error=error,
        done_at=time_text(now),
        unsure=unsure or entry.unsure,
    )


def last_sent(connection: Connection, entry: Entry) -> Entry | None:
    """Return the last message about the same key that this channel took; None before the first."""
    query = (
        select(outbox)
        .where(outbox.c.channel == entry.channel, outbox.c.key == entry.key, outbox.c.state == State.SENT.value)
        .order_by(outbox.c.id.desc())
        .limit(1)
    )
    found = readable(connection.execute(query).mappings(), entry_of)
    return found[0] if found else None


def _settle(connection: Connection, entry: Entry, **values: object) -> None:
    """Write what became of a claimed entry, unless the lease ended and another deliverer has it."""
    mine = and_(outbox.c.id == entry.id, _WAITING, outbox.c.attempts == entry.attempts + 1)
    connection.execute(update(outbox).where(mine).values(leased_until=None, **values))


def _supersede(connection: Connection, channel: Channel, entry: Entry, now: datetime) -> bool:
    """Drop an entry that is not to be sent any more; return whether it was dropped."""
    if entry.alert is None:
        return False
    if entry.action is not Action.OPEN:
        if _was_opened(connection, entry):
            return False
        _drop(connection, [entry.id], now)
        return True
    end = _end_of(connection, entry)
    if end is None or (entry.unsure and not channel.keyed):
        return False
    between = and_(*_same(entry), outbox.c.id >= entry.id, outbox.c.id < end.id, _WAITING)
    _drop(connection, list(connection.scalars(select(outbox.c.id).where(between))), now)
    if entry.unsure:
        return True  # the channel may have it open: the end is sent
    if channel.digests and end.action is Action.RESOLVE:
        message = digest_of(entry.message, end.message).model_dump_json()
        digest = {"action": Action.DIGEST.value, "message": message}
        connection.execute(update(outbox).where(outbox.c.id == end.id).values(digest))
    else:  # what is muted is told when that is over
        _drop(connection, [end.id], now)
    return True


def _was_opened(connection: Connection, entry: Entry) -> bool:
    """Return whether the channel may have open what a later message is about; a digest stands for itself."""
    if entry.action in (Action.CHANGE, Action.DIGEST):
        return True
    opened = or_(outbox.c.state == State.SENT.value, outbox.c.unsure)
    query = (
        select(outbox.c.id)
        .where(*_same(entry), outbox.c.action == Action.OPEN.value, outbox.c.id < entry.id)
        .order_by(outbox.c.id.desc())
        .limit(1)
    )
    return connection.scalar(select(outbox.c.id).where(outbox.c.id == query.scalar_subquery(), opened)) is not None


def _end_of(connection: Connection, opening: Entry) -> Entry | None:
    """Return the message that ends in the channel what this one opens, the first that waits: it is over, or muted."""
    ends = outbox.c.action.in_((Action.RESOLVE.value, Action.MUTE.value))
    query = select(outbox).where(*_same(opening), ends, _WAITING).order_by(outbox.c.id)
    found = readable(connection.execute(query.limit(1)).mappings(), entry_of)
    return found[0] if found else None


def _same(entry: Entry) -> tuple[ColumnElement[bool], ...]:
    return outbox.c.alert == entry.alert, outbox.c.channel == entry.channel


def _drop(connection: Connection, ids: Sequence[int], now: datetime) -> None:
    values = {"state": State.SUPERSEDED.value, "done_at": time_text(now), "leased_until": None}
    connection.execute(update(outbox).where(outbox.c.id.in_(ids)).values(values))
