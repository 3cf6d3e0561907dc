"""The writes of one transaction: alerts that change, the events that record it, and which of them are told."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Final, TypeAlias

from sqlalchemy import Connection

from mlops_dagster.alerting.alert import (
    FLEET,
    Acknowledgement,
    Alert,
    AlertEvent,
    EventKind,
    Severity,
    alert_key,
)
from mlops_dagster.alerting.life import sql, storm
from mlops_dagster.alerting.life.inhibition import ended_by
from mlops_dagster.alerting.life.mutes import due_mutes
from mlops_dagster.alerting.life.rows import alert_row
from mlops_dagster.alerting.life.steps import Ending, News, Sighting, Step
from mlops_dagster.alerting.rule import Rule
from mlops_dagster.clock import SystemClock, time_text
from mlops_dagster.documents.json_text import json_text
from mlops_dagster.documents.texts import plain
from mlops_dagster.errors import UnreadableError

Outbox: TypeAlias = Callable[[Connection, AlertEvent, Alert | None], None]
"""Takes an event that is to be told, in the transaction that writes it, with the alert after that transaction."""

SEEN_EVERY: Final = timedelta(hours=1)
"""A sighting that changes neither severity nor reaction is recorded as an event at most so often."""
FLAPS_WITHIN: Final = timedelta(days=7)


@dataclass(slots=True)
class Changes:
    """The writes by one actor in the transaction of `connection`; `finish` hands what is told to the outbox."""

    connection: Connection
    now: datetime
    actor: str
    name: str
    """The name of the installation, for the keys of alerts."""
    fleet_size: Callable[[], int]
    """Returns the number of models; asked only while alerts of one rule open for many models."""
    _after: dict[int, Alert] = field(default_factory=dict)
    _events: list[AlertEvent] = field(default_factory=list)

    def find_open(self, model: str, rule: str, subject: str) -> Alert | None:
        """Return the open alert, or None; end one that cannot be read, so that a new one can open."""
        try:
            return sql.find_open(self.connection, model, rule, subject)
        except UnreadableError:
            sql.end_unreadable(self.connection, model, rule, subject, self.now)
            return None

    def report(self, sighting: Sighting) -> int:
        """Open the alert or update it, with all that follows for other alerts; return its id."""
        before, alert = self._see(sighting)
        for ended in ended_by(alert, sql.open_alerts(self.connection, alert.model)):
            self._end(ended, f"{alert.subject} is out of traffic")
        is_news = before is None or before.severity is not alert.severity
        others = is_news and self._follow_storm(alert, opened=before is None)
        self._update_mutes(alert.model, all_models=others)
        return alert.id

    def resolve(self, alert: Alert, resolution: str) -> None:
        """End an open alert, with all that follows for other alerts."""
        self._end(alert, resolution)
        self._update_mutes(alert.model, all_models=self._follow_storm(alert, opened=False))

    def acknowledge(self, alert: Alert, reason: str) -> None:
        at, reason = self._at(alert.model), plain(reason)
        after = replace(alert, acknowledged=Acknowledgement(at, self.actor, reason))
        self._save(after, EventKind.ACKNOWLEDGED, reason)

    def take(self, step: Step) -> None:
        """Carry out one step."""
        match step:
            case Sighting():
                self.report(step)
            case Ending():
                alert = self.find_open(step.model, step.rule, step.subject)
                if alert is not None:
                    self.resolve(alert, step.resolution)
            case News():
                self.tell(step)

    def tell(self, news: News) -> AlertEvent:
        """Record an event without an alert, of severity info."""
        event = self._record(
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

    def update_mutes(self) -> None:
        """Begin and end the mutes of all open alerts that are due."""
        self._update_mutes(FLEET, all_models=True)

    def finish(self, outbox: Outbox) -> Mapping[int, Alert]:
        """Hand each event that is to be told to the outbox; return the changed alerts by id."""
        for event in self._events:
            alert = None if event.alert_id is None else self._after[event.alert_id]
            if alert is not None and not _is_told(event, alert):
                continue
            if alert is not None and not alert.told:
                alert = self._after[alert.id] = replace(alert, told=True)
                sql.save_alert(self.connection, alert)
            outbox(self.connection, event, alert)
        return self._after

    def _see(self, sighting: Sighting) -> tuple[Alert | None, Alert]:
        """Open or update the alert of the sighting; return it as it was before (None if it opened), and as it is."""
        before = self.find_open(sighting.model, sighting.rule, sighting.subject)
        if before is None:
            return None, self._open(sighting)
        after = sighting.seen_in(before, self._at(sighting.model))
        kind = self._kind(before, after)
        if kind is None:
            sql.save_alert(self.connection, after)
            self._after[after.id] = after
        else:
            self._save(after, kind, after.summary)
        return before, after

    def _open(self, sighting: Sighting) -> Alert:
        model, rule, subject = sighting.model, sighting.rule, sighting.subject
        at = self._at(model)
        opened = Alert(
            id=0,
            key=alert_key(self.name, model, rule, subject),
            model=model,
            rule=rule,
            subject=subject,
            version=sighting.version,
            severity=sighting.severity,
            summary="",
            reading=None,
            since=None,
            done="",
            evidence={},
            opened_at=at,
            last_seen_at=at,
            times=0,
            flaps=sql.openings(self.connection, model, rule, subject, at - FLAPS_WITHIN),
            acknowledged=None,
            muted_by=None,
            told=False,
            resolved_at=None,
            resolution="",
        )
        values = {name: value for name, value in alert_row(sighting.seen_in(opened, at)).items() if name != "id"}
        alert = sql.insert_alert(self.connection, values)
        self._note(alert, EventKind.OPENED, alert.summary)
        return alert

    def _kind(self, before: Alert, after: Alert) -> EventKind | None:
        """Return the kind of event that records a sighting; None if it is not worth one."""
        if after.severity is not before.severity:
            return EventKind.ESCALATED if after.severity.rank > before.severity.rank else EventKind.EASED
        last = sql.last_sighting(self.connection, after.id)
        is_due = after.done != before.done or after.last_seen_at >= last + SEEN_EVERY
        return EventKind.SEEN if is_due else None

    def _end(self, alert: Alert, resolution: str) -> None:
        at = self._at(alert.model)
        self._save(replace(alert, resolved_at=at, resolution=plain(resolution)), EventKind.RESOLVED, resolution)

    def _follow_storm(self, member: Alert, *, opened: bool) -> bool:
        """Open, update or end the alert about the fleet that tells for this one; return whether others' mutes change.

        An alert about the fleet itself may mute or unmute those of any model.
        """
        if member.model == FLEET:
            return True
        told = self.find_open(FLEET, member.rule, "")
        if told is None and not opened:
            return False
        members = sql.open_members(self.connection, member.rule)
        models = {each.model for each in members}
        if told is None:
            since = self._at(member.model) - storm.WINDOW
            recent = {each.model for each in members if each.opened_at > since}
            if len(recent) < storm.MODELS or not storm.is_storm(len(recent), self.fleet_size()):
                return False
        elif storm.is_over(len(models)):
            self._end(told, f"{member.rule} is open for {len(models)} models, each told by itself again")
            return True
        elif not opened and told.severity is storm.severity_of(members):
            return False
        before, _ = self._see(
            Sighting(
                FLEET,
                Rule(member.rule),
                "",
                storm.severity_of(members),
                storm.summary_of(member.rule, models),
                done="the alerts of the models are muted by this one, and stay listed",
                evidence={"models": sorted(models)},
            )
        )
        return before is None

    def _update_mutes(self, model: str, *, all_models: bool) -> None:
        found = sql.open_alerts(self.connection, None if all_models else model)
        due = due_mutes(found, sql.active_silences(self.connection, self.now))
        for alert in found:
            if alert.id not in due:
                continue
            by = due[alert.id]
            kind = EventKind.UNMUTED if by is None else EventKind.MUTED
            self._save(
                replace(alert, muted_by=by), kind, f"{alert.muted_by} is over" if by is None else f"muted by {by}"
            )

    def _save(self, alert: Alert, kind: EventKind, summary: str) -> None:
        sql.save_alert(self.connection, alert)
        self._note(alert, kind, summary)

    def _note(self, alert: Alert, kind: EventKind, summary: str) -> None:
        self._after[alert.id] = alert
        row = alert_row(alert)
        event = self._record(
            {
                **{name: row[name] for name in ("model", "rule", "subject", "version", "severity", "done", "evidence")},
                "alert_id": alert.id,
                "kind": kind.value,
                "summary": plain(summary),
                "alert": json_text(row),
            }
        )
        self._events.append(event)

    def _record(self, values: Mapping[str, object]) -> AlertEvent:
        at = self._at(str(values["model"]))
        times = {"at": time_text(at), "recorded_at": time_text(SystemClock().now())}
        return sql.insert_event(self.connection, {**values, **times, "actor": self.actor})

    def _at(self, model: str) -> datetime:
        """Return the time of an event of the model: never before its last, so that answers of the past stay true."""
        return max(filter(None, (self.now, sql.last_time(self.connection, model))))


def _is_told(event: AlertEvent, alert: Alert) -> bool:
    if event.kind is EventKind.RESOLVED:
        return alert.told
    return event.kind is not EventKind.MUTED and alert.muted_by is None
