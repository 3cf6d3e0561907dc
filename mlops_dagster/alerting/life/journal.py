"""The journal of one transaction: alerts that are saved, the events that record it, and which of them are told."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TypeAlias

from sqlalchemy import Connection

from mlops_dagster.alerting.alert import Alert, AlertEvent, EventKind, Severity
from mlops_dagster.alerting.life import sql
from mlops_dagster.alerting.life.rows import alert_row
from mlops_dagster.alerting.life.steps import News
from mlops_dagster.clock import SystemClock, time_text
from mlops_dagster.documents.json_text import json_text
from mlops_dagster.documents.texts import plain

Outbox: TypeAlias = Callable[[Connection, AlertEvent, Alert | None], None]
"""Takes an event that is to be told, in the transaction that writes it, with the alert after that transaction."""


@dataclass(slots=True)
class Journal:
    """The writes by one actor in the transaction of `connection`."""

    connection: Connection
    now: datetime
    actor: str
    after: dict[int, Alert] = field(default_factory=dict)
    """The alerts that were saved, as they are now, by id."""
    _events: list[AlertEvent] = field(default_factory=list)

    @property
    def latest(self) -> AlertEvent:
        """The event that was appended last."""
        return self._events[-1]

    def at(self, model: str) -> datetime:
        """Return the time of an event of the model: never before its last, so that answers of the past stay true."""
        return max(filter(None, (self.now, sql.last_time(self.connection, model))))

    def open(self, alert: Alert) -> Alert:
        """Insert a new alert, whose id is set, and append its event."""
        values = {name: value for name, value in alert_row(alert).items() if name != "id"}
        opened = sql.insert_alert(self.connection, values)
        self._append(opened, EventKind.OPENED, opened.summary)
        return opened

    def save(self, alert: Alert, kind: EventKind | None, summary: str = "") -> None:
        """Save an alert; append the event of this kind with its summary, or none for a change not worth an event."""
        sql.save_alert(self.connection, alert)
        if kind is None:
            self.after[alert.id] = alert
        else:
            self._append(alert, kind, summary)

    def tell(self, news: News) -> AlertEvent:
        """Append an event without an alert, of severity info."""
        event = self._insert(
            {
                "model": news.model,
                "rule": news.notice.value,
                "subject": "",
                "version": news.version,
                "kind": EventKind.INFO.value,
                "severity": Severity.INFO.value,
                "summary": plain(news.summary),
                "done": plain(news.done),
                "evidence": json_text(news.evidence),
            }
        )
        self._events.append(event)
        return event

    def hand_over(self, outbox: Outbox) -> None:
        """Hand each event that is to be told to the outbox, by the state in which its alert is now."""
        for event in self._events:
            alert = None if event.alert_id is None else self.after[event.alert_id]
            if alert is not None and not _is_told(event, alert):
                continue
            if alert is not None and not alert.told:
                alert = replace(alert, told=True)
                self.save(alert, None)
            outbox(self.connection, event, alert)

    def _append(self, alert: Alert, kind: EventKind, summary: str) -> None:
        self.after[alert.id] = alert
        row = alert_row(alert)
        same = ("model", "rule", "subject", "version", "severity", "done", "evidence")
        event = self._insert(
            {
                **{name: row[name] for name in same},
                "alert_id": alert.id,
                "kind": kind.value,
                "summary": plain(summary),
                "alert": json_text(row),
            }
        )
        self._events.append(event)

    def _insert(self, values: Mapping[str, object]) -> AlertEvent:
        at = self.at(str(values["model"]))
        times = {"at": time_text(at), "recorded_at": time_text(SystemClock().now())}
        return sql.insert_event(self.connection, {**values, **times, "actor": self.actor})


def _is_told(event: AlertEvent, alert: Alert) -> bool:
    if event.kind in (EventKind.RESOLVED, EventKind.MUTED):
        return alert.told
    return alert.muted_by is None
