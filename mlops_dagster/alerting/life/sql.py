"""Reads and writes of alerts, their events and silences, each inside a transaction of the caller."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Executable, Select, and_, delete, func, insert, or_, select, update

from mlops_dagster.alerting.alert import FLEET, Alert, AlertEvent, EventKind, Severity
from mlops_dagster.alerting.life.rows import Record, alert_of, alert_row, event_of, silence_of
from mlops_dagster.alerting.life.silence import NAME as SILENCE
from mlops_dagster.alerting.life.silence import Silence
from mlops_dagster.alerting.life.storm import Member
from mlops_dagster.alerting.life.tables import IS_OPEN, alerts, events, followed, silences
from mlops_dagster.clock import parse_time, time_text
from mlops_dagster.documents.readable import readable

_SIGHTINGS = [kind.value for kind in (EventKind.OPENED, EventKind.ESCALATED, EventKind.EASED, EventKind.SEEN)]


def find_open(connection: Connection, model: str, rule: str, subject: str) -> Alert | None:
    query = select(alerts).where(*_of(model, rule, subject), IS_OPEN)
    return next(map(alert_of, _rows(connection, query)), None)


def is_open(connection: Connection, model: str, rule: str, subject: str) -> bool:
    query = select(alerts.c.id).where(*_of(model, rule, subject), IS_OPEN)
    return connection.scalar(query) is not None


def find_alert(connection: Connection, alert_id: int) -> Alert | None:
    return next(map(alert_of, _rows(connection, select(alerts).where(alerts.c.id == alert_id))), None)


def open_alerts(connection: Connection, model: str | None = None) -> list[Alert]:
    """Return the open alerts that can be read, oldest first: all, or those about a model or the fleet."""
    query = select(alerts).where(IS_OPEN).order_by(alerts.c.id)
    if model is not None:
        query = query.where(alerts.c.model.in_((model, FLEET)))
    return read_alerts(connection, query)


def open_members(connection: Connection, rule: str) -> list[Member]:
    """Return the open alerts of a rule about single models."""
    query = select(alerts.c.model, alerts.c.severity, alerts.c.opened_at).where(
        IS_OPEN, alerts.c.rule == rule, alerts.c.model != FLEET
    )
    return [Member(row.model, Severity(row.severity), parse_time(row.opened_at)) for row in connection.execute(query)]


def any_silenced(connection: Connection) -> bool:
    """Tell whether a silence mutes an open alert."""
    query = select(alerts.c.id).where(IS_OPEN, alerts.c.muted_by.like(f"{SILENCE} %")).limit(1)
    return connection.scalar(query) is not None


def read_alerts(connection: Connection, query: Select[Any]) -> list[Alert]:
    return readable(_rows(connection, query), alert_of)


def openings(connection: Connection, model: str, rule: str, subject: str, since: datetime) -> int:
    """Return how many alerts of this model, rule and subject have opened since that time."""
    query = select(func.count()).where(*_of(model, rule, subject), alerts.c.opened_at >= time_text(since))
    return connection.scalar(query) or 0


def insert_alert(connection: Connection, values: Record) -> Alert:
    return next(map(alert_of, _rows(connection, insert(alerts).values(**values).returning(alerts))))


def save_alert(connection: Connection, alert: Alert) -> None:
    connection.execute(update(alerts).where(alerts.c.id == alert.id).values(**alert_row(alert)))


def end_unreadable(connection: Connection, model: str, rule: str, subject: str, at: datetime) -> None:
    """End an open alert whose row cannot be read, so that a new one can open."""
    ended = update(alerts).where(*_of(model, rule, subject), IS_OPEN)
    connection.execute(ended.values(resolved_at=time_text(at), resolution="its row could not be read"))


def insert_event(connection: Connection, values: Record) -> AlertEvent:
    return next(map(event_of, _rows(connection, insert(events).values(**values).returning(events))))


def last_time(connection: Connection, model: str) -> datetime | None:
    """Return the time of the last event of the model; None before there is one."""
    query = select(events.c.at).where(events.c.model == model).order_by(events.c.id.desc()).limit(1)
    found = connection.scalar(query)
    return None if found is None else parse_time(found)


def last_sighting(connection: Connection, alert_id: int) -> datetime:
    """Return the time of the last event that recorded a sighting of an alert."""
    query = select(func.max(events.c.at)).where(events.c.alert_id == alert_id, events.c.kind.in_(_SIGHTINGS))
    return parse_time(connection.scalars(query).one())


def snapshots(connection: Connection, at: datetime) -> list[Alert]:
    """Return each alert that had opened by `at`, as its last event until then left it, oldest first."""
    last = (
        select(func.max(events.c.id))
        .where(events.c.at <= time_text(at), events.c.alert_id.is_not(None))
        .group_by(events.c.alert_id)
    )
    query = select(events).where(events.c.id.in_(last)).order_by(events.c.alert_id)
    found = readable(_rows(connection, query), event_of)
    return [event.alert for event in found if event.alert is not None]


def read_events(
    connection: Connection,
    model: str | None,
    since: datetime | None,
    until: datetime | None,
    alert_id: int | None,
) -> list[AlertEvent]:
    """Return the events in [since, until) that can be read, oldest first, of a model or all, and of an alert or all."""
    query = select(events).order_by(events.c.id)
    if model is not None:
        query = query.where(events.c.model == model)
    if alert_id is not None:
        query = query.where(events.c.alert_id == alert_id)
    if since is not None:
        query = query.where(events.c.at >= time_text(since))
    if until is not None:
        query = query.where(events.c.at < time_text(until))
    return readable(_rows(connection, query), event_of)


def latest_events(
    connection: Connection, kinds: Sequence[EventKind], at: datetime, limit: int, model: str | None
) -> list[AlertEvent]:
    """Return the latest `limit` events of these kinds until `at` that can be read, newest first."""
    query = select(events).where(events.c.kind.in_([kind.value for kind in kinds]), events.c.at <= time_text(at))
    if model is not None:
        query = query.where(events.c.model == model)
    return readable(_rows(connection, query.order_by(events.c.at.desc(), events.c.id.desc()).limit(limit)), event_of)


def latest_of_rules(connection: Connection, model: str, rules: Sequence[str], since: datetime) -> list[AlertEvent]:
    """Return the events of a model since then that are about one of the rules or notices, newest first."""
    query = select(events).where(events.c.model == model, events.c.rule.in_(rules), events.c.at >= time_text(since))
    return readable(_rows(connection, query.order_by(events.c.id.desc())), event_of)


def active_silences(connection: Connection, at: datetime) -> list[Silence]:
    now = time_text(at)
    ended = or_(silences.c.ends_at <= now, and_(silences.c.ended_at.is_not(None), silences.c.ended_at <= now))
    query = select(silences).where(silences.c.starts_at <= now, ~ended).order_by(silences.c.id)
    return readable(_rows(connection, query), silence_of)


def find_silence(connection: Connection, silence_id: int) -> Silence | None:
    return next(map(silence_of, _rows(connection, select(silences).where(silences.c.id == silence_id))), None)


def insert_silence(connection: Connection, values: Record) -> Silence:
    return next(map(silence_of, _rows(connection, insert(silences).values(**values).returning(silences))))


def end_silence(connection: Connection, silence_id: int, at: datetime, actor: str, reason: str) -> Silence:
    values = {"ended_at": time_text(at), "ended_by": actor, "end_reason": reason}
    ended = update(silences).where(silences.c.id == silence_id).values(**values).returning(silences)
    return next(map(silence_of, _rows(connection, ended)))


def position_of(connection: Connection, source: str) -> int:
    return connection.scalar(select(followed.c.position).where(followed.c.source == source)) or 0


def set_position(connection: Connection, source: str, position: int) -> None:
    connection.execute(delete(followed).where(followed.c.source == source))
    connection.execute(insert(followed).values(source=source, position=position))


def _rows(connection: Connection, statement: Executable) -> Iterator[Record]:
    for row in connection.execute(statement):
        yield row._asdict()


def _of(model: str, rule: str, subject: str) -> tuple[ColumnElement[bool], ...]:
    return alerts.c.model == model, alerts.c.rule == rule, alerts.c.subject == subject
