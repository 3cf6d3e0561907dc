"""Reminders: open alerts without an acknowledgement are told again, and to channels that do not know of them yet."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta

from sqlalchemy import Connection, select

from mlops_dagster.alerting.alert import Alert, AlertEvent, EventKind, Severity
from mlops_dagster.alerting.channels.message import Action
from mlops_dagster.alerting.delivery.entry import Entry, State, entry_of
from mlops_dagster.alerting.delivery.outbox import Outbox, channels_holding
from mlops_dagster.alerting.delivery.tables import outbox
from mlops_dagster.alerting.life.sql import open_alerts, read_events
from mlops_dagster.alerting.routing.plan import Plan, told_of
from mlops_dagster.alerting.routing.routing import Routing
from mlops_dagster.documents.readable import readable

_SIGHTINGS = (EventKind.OPENED, EventKind.ESCALATED, EventKind.EASED, EventKind.SEEN, EventKind.ACTED)


def remind(
    connection: Connection, routing: Routing, into: Outbox, owners_of: Callable[[str], Sequence[str]], now: datetime
) -> int:
    """Put the reminders that are due into the outbox, in the caller's transaction, and return their number."""
    count = 0
    for alert in open_alerts(connection):
        entries = _entries_of(connection, alert.id)
        owners = owners_of(alert.model)
        planned = reminders(
            alert, entries, channels_holding(connection, alert.id), told_of(alert, routing, owners), routing, now
        )
        if planned:
            event = _last_sighting(connection, alert.id)
            for channel, action in planned:
                into.put(connection, channel, action, event, alert, owners)
        count += len(planned)
    return count


def reminders(
    alert: Alert,
    entries: Sequence[Entry],
    holding: Sequence[str],
    routed: Sequence[str],
    routing: Routing,
    now: datetime,
) -> Plan:
    """Return which channels are told of an open alert now, and which are told of it again.

    Args:
        alert: The alert.
        entries: The entries of the outbox about it.
        holding: The channels in which it is open.
        routed: The channels that are to know of it: some do not if it is older than their entry in the file.
        routing: The file of channels.
        now: The present time.
    """
    if alert.acknowledged is not None or alert.muted_by is not None:
        return []
    last = {entry.channel: entry for entry in entries}
    unaware = [name for name in routed if name not in last or last[name].action is Action.MUTE]
    further = [*unaware, *_further(alert, entries, routing, now)]
    repeated = [name for name in holding if name in routing.channels and _is_old(last, name, routing, now)]
    return [
        *((name, Action.UPDATE) for name in repeated),
        *((name, Action.OPEN) for name in dict.fromkeys(further) if name not in holding),
    ]


def _is_old(last: Mapping[str, Entry], channel: str, routing: Routing, now: datetime) -> bool:
    entry = last[channel]
    return (
        routing.repeat_hours > 0
        and entry.state is not State.WAITING
        and now - entry.enqueued_at >= timedelta(hours=routing.repeat_hours)
    )


def _further(alert: Alert, entries: Sequence[Entry], routing: Routing, now: datetime) -> Sequence[str]:
    """Return the channels of the escalation, once the alert has been critical for long enough."""
    if routing.escalate is None or alert.severity is not Severity.CRITICAL:
        return []
    critical = [entry.enqueued_at for entry in entries if entry.message.severity is Severity.CRITICAL]
    patience = timedelta(minutes=routing.escalate.unacknowledged_minutes)
    return routing.escalate.to if critical and now - min(critical) >= patience else []


def _entries_of(connection: Connection, alert_id: int) -> Sequence[Entry]:
    query = select(outbox).where(outbox.c.alert == alert_id).order_by(outbox.c.id)
    return readable(connection.execute(query).mappings(), entry_of)


def _last_sighting(connection: Connection, alert_id: int) -> AlertEvent:
    return [event for event in read_events(connection, None, None, None, alert_id) if event.kind in _SIGHTINGS][-1]
