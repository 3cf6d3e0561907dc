"""Alerts and events that go because they are old, within a transaction of the caller."""

from datetime import datetime

from sqlalchemy import Connection, func, select

from mlops_dagster.alerting.alert import EventKind
from mlops_dagster.alerting.life.tables import alerts, events
from mlops_dagster.clock import time_text
from mlops_dagster.database import remove


def forget_resolved(connection: Connection, model: str, before: datetime, *, dry_run: bool) -> int:
    """Delete the alerts of a model that were resolved before a time, with all their events, and its old news.

    The newest alert and the newest event of all models stay, so that no number is given twice.
    """
    at = time_text(before)
    its = (
        (alerts.c.model == model)
        & (alerts.c.resolved_at < at)
        & (alerts.c.id < select(func.max(alerts.c.id)).scalar_subquery())
    )
    last = select(func.max(events.c.id)).scalar_subquery()
    of_them = events.c.alert_id.in_(select(alerts.c.id).where(its)) & (events.c.id < last)
    news = (events.c.model == model) & events.c.alert_id.is_(None) & (events.c.at < at) & (events.c.id < last)
    gone = sum(remove(connection, events, each, dry_run=dry_run) for each in (of_them, news))
    return gone + remove(connection, alerts, its, dry_run=dry_run)


def forget_sightings(connection: Connection, model: str, before: datetime, *, dry_run: bool) -> int:
    """Delete the sightings of a model's alerts before a time that another event of then followed.

    The last event of each alert says how the alert stood at that time.
    """
    at, later = time_text(before), events.alias()
    followed = select(later.c.id).where(
        later.c.alert_id == events.c.alert_id, later.c.id > events.c.id, later.c.at < at
    )
    its = (events.c.model == model) & (events.c.kind == EventKind.SEEN.value) & (events.c.at < at)
    return remove(connection, events, its & followed.exists(), dry_run=dry_run)
