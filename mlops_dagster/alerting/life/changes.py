"""The changes of alerts in one transaction, each with all that follows from it for other alerts."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from mlops_dagster.alerting.alert import FLEET, Acknowledgement, Alert, AlertEvent, EventKind, alert_key
from mlops_dagster.alerting.life import sql, storm
from mlops_dagster.alerting.life.inhibition import ended_by
from mlops_dagster.alerting.life.journal import Journal
from mlops_dagster.alerting.life.mutes import due_mutes
from mlops_dagster.alerting.life.reactions import LASTS, SOURCES, reaction_of, standing
from mlops_dagster.alerting.life.steps import Ending, News, Sighting, Step
from mlops_dagster.alerting.rule import Rule
from mlops_dagster.documents.texts import counted, plain
from mlops_dagster.errors import UnreadableError

SEEN_EVERY: Final = timedelta(hours=1)
"""A sighting that changes neither severity nor reaction is recorded as an event at most so often."""
FLAPS_WITHIN: Final = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class Changes:
    """The changes that one journal records."""

    journal: Journal
    name: str
    """The name of the installation, for the keys of alerts."""
    fleet_size: Callable[[], int]
    """Returns the number of models; asked only while alerts of one rule open for many models."""

    def find_open(self, model: str, rule: str, subject: str) -> Alert | None:
        """Return the open alert, or None; end one that cannot be read, so that a new one can open."""
        connection = self.journal.connection
        try:
            return sql.find_open(connection, model, rule, subject)
        except UnreadableError:
            sql.end_unreadable(connection, model, rule, subject, self.journal.now)
            return None

    def report(self, sighting: Sighting) -> int:
        """Open the alert or update it; return its id."""
        before, alert = self._see(sighting)
        is_news = before is None or before.severity is not alert.severity
        event = self.journal.latest if is_news else None
        for ended in ended_by(alert, sql.open_alerts(self.journal.connection, alert.model)):
            self.resolve(_answered_by(event, ended) or ended, f"{alert.subject} is out of traffic")
        self._answer(event)
        others = is_news and self._follow_storm(alert, opened=before is None)
        self._update_mutes(alert.model, all_models=others)
        return alert.id

    def resolve(self, alert: Alert, resolution: str) -> None:
        """End an open alert."""
        self._end(alert, resolution)
        self._answer(self.journal.latest)
        self._update_mutes(alert.model, all_models=self._follow_storm(alert, opened=False))

    def acknowledge(self, alert: Alert, reason: str) -> None:
        """Record that the actor works on an open alert."""
        reason = plain(reason)
        acknowledged = Acknowledgement(self.journal.at(alert.model), self.journal.actor, reason)
        self.journal.save(replace(alert, acknowledged=acknowledged), EventKind.ACKNOWLEDGED, reason)

    def tell(self, news: News) -> AlertEvent:
        """Record something that happened, without an alert."""
        event = self.journal.tell(news)
        self._answer(event)
        return event

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

    def update_mutes(self) -> None:
        """Begin and end the mutes of all open alerts that are due."""
        self._update_mutes(FLEET, all_models=True)

    def _answer(self, event: AlertEvent | None) -> None:
        """Record in the open alerts of the model that the event, if there is one, is a reaction to them."""
        if event is None or reaction_of(event) is None:
            return
        for alert in sql.open_alerts(self.journal.connection, event.model):
            if (after := _answered_by(event, alert)) is not None:
                self.journal.save(after, EventKind.ACTED, after.done)

    def _answered(self, sighting: Sighting, at: datetime) -> tuple[str, Mapping[str, object] | None]:
        """Return what was done already about an alert that opens now, and the evidence of it; None if nothing was."""
        latest = sql.latest_of_rules(self.journal.connection, sighting.model, SOURCES, at - LASTS)
        event = standing(latest, sighting.rule, sighting.version)
        reaction = None if event is None else reaction_of(event)
        return ("", None) if event is None or reaction is None else (reaction.done, event.evidence)

    def _see(self, sighting: Sighting) -> tuple[Alert | None, Alert]:
        """Open or update the alert of the sighting; return it as it was before (None if it opened), and as it is."""
        before = self.find_open(sighting.model, sighting.rule, sighting.subject)
        if before is None:
            return None, self.journal.open(self._first(sighting))
        after = sighting.seen_in(before, self.journal.at(sighting.model))
        self.journal.save(after, self._kind(before, after), after.summary)
        return before, after

    def _first(self, sighting: Sighting) -> Alert:
        """Return the alert that opens with this sighting; its id is 0."""
        model, rule, subject = sighting.model, sighting.rule, sighting.subject
        at = self.journal.at(model)
        done, acted = self._answered(sighting, at)
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
            done=done,
            acted=acted,
            evidence={},
            opened_at=at,
            last_seen_at=at,
            times=0,
            flaps=sql.openings(self.journal.connection, model, rule, subject, at - FLAPS_WITHIN),
            acknowledged=None,
            muted_by=None,
            told=False,
            resolved_at=None,
            resolution="",
        )
        return sighting.seen_in(opened, at)

    def _kind(self, before: Alert, after: Alert) -> EventKind | None:
        """Return the kind of event that records a sighting; None if it is not worth one."""
        if after.severity is not before.severity:
            return EventKind.ESCALATED if after.severity.rank > before.severity.rank else EventKind.EASED
        last = sql.last_sighting(self.journal.connection, after.id)
        is_due = after.done != before.done or after.last_seen_at >= last + SEEN_EVERY
        return EventKind.SEEN if is_due else None

    def _end(self, alert: Alert, resolution: str) -> None:
        at = self.journal.at(alert.model)
        self.journal.save(replace(alert, resolved_at=at, resolution=plain(resolution)), EventKind.RESOLVED, resolution)

    def _follow_storm(self, member: Alert, *, opened: bool) -> bool:
        """Open, update or end the alert about the fleet that tells for this one; return whether others' mutes change.

        An alert about the fleet itself may mute or unmute those of any model.
        """
        if member.model == FLEET:
            return True
        told = self.find_open(FLEET, member.rule, "")
        if told is None and not opened:
            return False
        members = sql.open_members(self.journal.connection, member.rule)
        models = {each.model for each in members}
        if told is None:
            since = self.journal.at(member.model) - storm.WINDOW
            recent = {each.model for each in members if each.opened_at > since}
            if len(recent) < storm.MODELS or not storm.is_storm(len(recent), self.fleet_size()):
                return False
        elif storm.is_over(len(models)):
            self._end(told, f"{member.rule} is open for {counted(len(models), 'models')}, each told by itself again")
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
        found = sql.open_alerts(self.journal.connection, None if all_models else model)
        due = due_mutes(found, sql.active_silences(self.journal.connection, self.journal.now))
        for alert in found:
            if alert.id not in due:
                continue
            by = due[alert.id]
            kind = EventKind.UNMUTED if by is None else EventKind.MUTED
            self.journal.save(
                replace(alert, muted_by=by), kind, f"{alert.muted_by} is over" if by is None else f"muted by {by}"
            )


def _answered_by(event: AlertEvent | None, alert: Alert) -> Alert | None:
    """Return an alert of the same model with what was done about it; None unless the event is a reaction to it."""
    reaction = None if event is None or event.model != alert.model else reaction_of(event)
    if event is None or reaction is None or not reaction.answers(alert.rule, alert.version):
        return None
    return replace(alert, done=reaction.done, acted=event.evidence)
