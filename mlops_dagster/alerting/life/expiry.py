"""Alerts and events that go because they are old, within a transaction of the caller."""

from datetime import datetime

from sqlalchemy import Column, Connection, ScalarSelect, func, or_, select

from mlops_dagster.alerting.alert import EventKind
from mlops_dagster.alerting.life.tables import alerts, events
from mlops_dagster.clock import time_text
from mlops_dagster.database import remove


def forget(
    connection: Connection, model: str, *, resolved_before: datetime, seen_before: datetime, dry_run: bool
) -> int:
    """Delete a model's old alerts with their events, its old news, and old sightings; return how many rows there were.

    A sighting goes if another event followed it before `seen_before`: the last event says how the alert stood then. The
    newest alert and the newest event of all models stay, so that no number is given twice.
    """
    ended, seen, later = time_text(resolved_before), time_text(seen_before), events.alias()
    old = (alerts.c.model == model) & (alerts.c.resolved_at < ended) & (alerts.c.id < _newest(alerts.c.id))
    followed = select(later.c.id).where(
        later.c.alert_id == events.c.alert_id, later.c.id > events.c.id, later.c.at < seen
    )
    goes = or_(
        events.c.alert_id.in_(select(alerts.c.id).where(old)),
        events.c.alert_id.is_(None) & (events.c.at < ended),
        (events.c.kind == EventKind.SEEN.value) & (events.c.at < seen) & followed.exists(),
    )
    its = (events.c.model == model) & goes & (events.c.id < _newest(events.c.id))
    return remove(connection, events, its, dry_run=dry_run) + remove(connection, alerts, old, dry_run=dry_run)


def _newest(column: Column[int]) -> ScalarSelect[int]:
    return select(func.max(column)).scalar_subquery()
