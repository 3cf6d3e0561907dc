"""Alerts in the database of the registry: opened once, updated when seen again, acknowledged, muted, resolved."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime

from sqlalchemy import Connection, select

from mlops_dagster.alerting.alert import Alert, AlertEvent, EventKind, Reading, Severity
from mlops_dagster.alerting.life import sql
from mlops_dagster.alerting.life.changes import Changes
from mlops_dagster.alerting.life.expiry import forget
from mlops_dagster.alerting.life.journal import Journal, Outbox
from mlops_dagster.alerting.life.mutes import due_mutes
from mlops_dagster.alerting.life.silence import Silence, check_times
from mlops_dagster.alerting.life.steps import News, Sighting, Step
from mlops_dagster.alerting.life.tables import IS_OPEN, alerts
from mlops_dagster.alerting.rule import Notice, Rule
from mlops_dagster.clock import Clock, SystemClock, time_text
from mlops_dagster.database import migrate, open_database, reading, removing, writing
from mlops_dagster.documents.texts import plain
from mlops_dagster.errors import ConflictError, NotFoundError


def tell_nobody(_connection: Connection, _event: AlertEvent, _alert: Alert | None) -> None:
    """Drop an event that is to be told: it is recorded all the same."""


class Alerts:
    """The alerts of all models. Any number of processes may share the `database`; only one opens an alert of a rule.

    Args:
        database: URL of the registry's database.
        clock: says when something happened; while traffic is replayed, in the time of the traffic.
        name: name of the installation in the keys of alerts.
        actor: whoever makes the changes, unless a call names another one.
        outbox: takes each event that is to be told, in the transaction that writes it.
        fleet_size: returns the number of models; an alert of one rule for many of them at once is told as one.
    """

    def __init__(
        self,
        database: str,
        clock: Clock,
        *,
        name: str = "mlops_dagster",
        actor: str = "mlops_dagster",
        outbox: Outbox = tell_nobody,
        fleet_size: Callable[[], int] = lambda: 0,
    ) -> None:
        self._engine = open_database(database)
        self._clock = clock
        self._name = name
        self._actor = actor
        self._outbox = outbox
        self._fleet_size = fleet_size
        migrate(self._engine)

    def report(
        self,
        model: str,
        rule: Rule,
        severity: Severity,
        summary: str,
        *,
        subject: str = "",
        version: str | None = None,
        reading: Reading | None = None,
        since: datetime | None = None,
        done: str = "",
        evidence: Mapping[str, object] | None = None,
    ) -> Alert:
        """Open an alert; if there is an open one of this model, rule and subject, update it and count one sighting.

        Args:
            model: the model, or `FLEET` for all of them and for the platform.
            rule: the broken rule.
            severity: how urgent it is now. A warning that becomes critical is not acknowledged any more.
            summary: the fault in one sentence, without values of rows.
            subject: the part of the model that it is about, such as a version; each has an alert of its own.
            version: the version that broke the rule.
            reading: the measured value with its limit.
            since: the event time of the first evidence; of an open alert, the first one stays.
            done: the platform's reaction; empty if people have to react.
            evidence: the numbers, as JSON can hold them.
        """
        sighting = Sighting(
            model, rule, subject, severity, summary, version, reading, since, done, dict(evidence or {})
        )
        with self._changing() as changes:
            alert_id = changes.report(sighting)
        return changes.journal.after[alert_id]

    def resolve(
        self, model: str, rule: Rule, resolution: str, *, subject: str = "", actor: str | None = None
    ) -> Alert | None:
        """End the open alert with the reason why it is over, and return it; None if none is open."""
        with reading(self._engine) as connection:  # most calls find none, and wait for no lock
            if not sql.is_open(connection, model, rule, subject):
                return None
        with self._changing(actor) as changes:
            alert = changes.find_open(model, rule, subject)
            if alert is None:
                return None
            changes.resolve(alert, resolution)
        return changes.journal.after[alert.id]

    def tell(
        self,
        model: str,
        notice: Notice,
        summary: str,
        *,
        version: str | None = None,
        done: str = "",
        evidence: Mapping[str, object] | None = None,
    ) -> AlertEvent:
        """Record and tell something that happened to a model, once and without an alert; return its event."""
        with self._changing() as changes:
            return changes.tell(News(model, notice, summary, version, done, evidence or {}))

    def followed(self, source: str) -> int:
        """Return the position up to which the events of a source were followed; 0 before the first."""
        with reading(self._engine) as connection:
            return sql.position_of(connection, source)

    def follow(self, source: str, position: int, steps: Sequence[Step], *, at: datetime, actor: str) -> bool:
        """Take the steps that follow from an event of another store, once, however many processes follow it.

        Args:
            source: the name of the other store.
            position: the number of the event there; events are followed in order.
            steps: what follows from the event; none for an event that nobody need know.
            at: the time of the event, which becomes the time of the steps.
            actor: whoever made the event.

        Returns False, and does nothing, if this event or a later one was followed before.
        """
        with self._changing(actor, at) as changes:
            if sql.position_of(changes.journal.connection, source) >= position:
                return False
            sql.set_position(changes.journal.connection, source, position)
            for step in steps:
                changes.take(step)
            return True

    def acknowledge(self, alert_id: int, reason: str, actor: str | None = None) -> Alert:
        """Record that an open alert is being worked on; return it.

        Raises NotFoundError, and ConflictError if the alert is resolved.
        """
        with self._changing(actor) as changes:
            alert = _found(changes.journal.connection, alert_id)
            if not alert.open:
                raise ConflictError(f"alert {alert_id} ({alert.rule} of {alert.model}) is resolved: {alert.resolution}")
            changes.acknowledge(alert, reason)
        return changes.journal.after[alert_id]

    def silence(
        self,
        ends_at: datetime,
        reason: str,
        *,
        model: str = "*",
        rule: str = "*",
        severity: str = "*",
        version: str = "*",
        starts_at: datetime | None = None,
        actor: str | None = None,
    ) -> Silence:
        """Keep alerts that match all four globs from being told until `ends_at`; what is open then is told then.

        Raises InvalidInputError unless it ends after its start, now or `starts_at`, and within 30 days of it.
        """
        with self._changing(actor) as changes:
            start = starts_at or changes.journal.now
            check_times(start, ends_at)
            made = sql.insert_silence(
                changes.journal.connection,
                {
                    "model": model,
                    "rule": rule,
                    "severity": severity,
                    "version": version,
                    "starts_at": time_text(start),
                    "ends_at": time_text(ends_at),
                    "actor": changes.journal.actor,
                    "reason": plain(reason),
                },
            )
            changes.update_mutes()
            return made

    def end_silence(self, silence_id: int, reason: str, actor: str | None = None) -> Silence:
        """End a silence now, and return it; what is open is told.

        Raises NotFoundError, and ConflictError if it has ended.
        """
        with self._changing(actor) as changes:
            found = sql.find_silence(changes.journal.connection, silence_id)
            if found is None:
                raise NotFoundError(f"there is no silence {silence_id}; `mlops alerts silences` lists those in force")
            if (found.ended_at or found.ends_at) <= changes.journal.now:
                raise ConflictError(f"silence {silence_id} has ended at {found.ended_at or found.ends_at}")
            ended = sql.end_silence(
                changes.journal.connection, silence_id, changes.journal.now, changes.journal.actor, plain(reason)
            )
            changes.update_mutes()
            return ended

    def silences(self, at: datetime | None = None) -> Sequence[Silence]:
        """Return the silences in force now or at `at`, oldest first."""
        with reading(self._engine) as connection:
            return sql.active_silences(connection, at or self._clock.now())

    def update_mutes(self) -> None:
        """Begin and end what time begins and ends: silences. Writes nothing unless one is due; call it often."""
        with reading(self._engine) as connection:
            silences = sql.active_silences(connection, self._now())
            if not silences and not sql.any_silenced(connection):
                return
            due = due_mutes(sql.open_alerts(connection), silences)
        if due:
            with self._changing() as changes:
                changes.update_mutes()

    def get(self, alert_id: int) -> Alert:
        """Return an alert, open or resolved; raises NotFoundError."""
        with reading(self._engine) as connection:
            return _found(connection, alert_id)

    def list(self, model: str | None = None, *, resolved: bool = False) -> Sequence[Alert]:
        """Return the open alerts that can be read, oldest first; with `resolved`, the closed ones too."""
        query = select(alerts).order_by(alerts.c.id)
        if model is not None:
            query = query.where(alerts.c.model == model)
        with reading(self._engine) as connection:
            return sql.read_alerts(connection, query if resolved else query.where(IS_OPEN))

    def as_of(self, at: datetime) -> Sequence[Alert]:
        """Return the alerts that were open at `at`, as their events until then left them, oldest first."""
        with reading(self._engine) as connection:
            return [alert for alert in sql.snapshots(connection, at) if alert.open]

    def forget(self, model: str, *, resolved_before: datetime, seen_before: datetime, dry_run: bool = False) -> int:
        """Delete the alerts that were resolved before a time, and sightings before another; return how many rows went.

        Open alerts stay with all their events but sightings. The record of retention must have noted both times first:
        the database refuses to delete an event before it was said not to be whole any more.
        """
        with removing(self._engine, dry_run=dry_run) as connection:
            return forget(connection, model, resolved_before=resolved_before, seen_before=seen_before, dry_run=dry_run)

    def events(
        self,
        model: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        *,
        alert_id: int | None = None,
    ) -> Sequence[AlertEvent]:
        """Return the events in [since, until), of a model or all, or of one alert, in the order they were written."""
        with reading(self._engine) as connection:
            return sql.read_events(connection, model, since, until, alert_id)

    def latest(
        self, kinds: Sequence[EventKind], *, at: datetime, limit: int, model: str | None = None
    ) -> Sequence[AlertEvent]:
        """Return the latest `limit` events of these kinds until `at`, newest first: of all models, or of one."""
        with reading(self._engine) as connection:
            return sql.latest_events(connection, kinds, at, limit, model)

    def close(self) -> None:
        """Close the connections to the database."""
        self._engine.dispose()

    @contextmanager
    def _changing(self, actor: str | None = None, at: datetime | None = None) -> Iterator[Changes]:
        """Hold a transaction for changes; at its end, what is to be told is handed to the outbox."""
        with writing(self._engine) as connection:
            journal = Journal(connection, at or self._now(), actor or self._actor)
            yield Changes(journal, self._name, self._fleet_size)
            journal.hand_over(self._outbox)

    def _now(self) -> datetime:
        """Return the clock's time, but never a later one than the machine's: until then nothing else could happen."""
        return min(self._clock.now(), SystemClock().now())


def _found(connection: Connection, alert_id: int) -> Alert:
    alert = sql.find_alert(connection, alert_id)
    if alert is None:
        raise NotFoundError(f"there is no alert {alert_id}; `mlops alerts list --all` lists all")
    return alert
