"""The message: an alert's event as channels tell it, with everything a person needs to act on it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from mlops_dagster.alerting.alert import FLEET, Alert, AlertEvent, EventKind, Reading, Severity
from mlops_dagster.alerting.channels.commands import command_of
from mlops_dagster.alerting.rule import Notice, Rule
from mlops_dagster.clock import in_utc
from mlops_dagster.documents.strict import StrictModel
from mlops_dagster.documents.texts import counted, singular
from mlops_dagster.links.board import model_page
from mlops_dagster.links.dagster import asset_page, run_page

_ASSETS: Final[Mapping[str, str]] = {
    Rule.HEADLINE: "performance_report",
    Rule.ACCURACY_COLLAPSE: "performance_report",
    Rule.CONCEPT_DRIFT: "performance_report",
    Rule.TOO_FEW_LABELS: "performance_report",
    Rule.PSI: "drift_report",
    Rule.KS: "drift_report",
    Rule.NULL_RATE: "drift_report",
    Rule.LABEL_DRIFT: "label_drift",
    Rule.VALIDATION: "prediction_batch",
    Rule.VALIDATION_ERROR: "prediction_batch",
    Rule.BATCH_INPUT: "batch_scores",
    Rule.BATCH_INPUT_ERROR: "batch_scores",
    Rule.RETRAINING_FAILED: "registered_version",
}
"""The Dagster asset whose page shows what a rule is about; the others are shown at the deployment."""


_MUTED: Final = "MUTED"


class Action(StrEnum):
    """An act that a channel is asked for."""

    OPEN = "open"
    UPDATE = "update"
    ACKNOWLEDGE = "acknowledge"
    RESOLVE = "resolve"
    MUTE = "mute"
    """End an alert in the channel while it goes on: something mutes it. Channels are asked to resolve it."""
    CHANGE = "change"
    """Tell of something that happened, which nobody has to end."""
    DIGEST = "digest"
    """Tell of an alert that was over before it could be told."""


class Link(StrictModel):
    """A page about an alert."""

    text: str
    url: str


class Message(StrictModel):
    """An alert's event as it is told. It stays the same for each try, so that a receiver may recognise it by its id."""

    id: str
    """Unique for each message of an installation."""
    key: str
    """The name of the alert in every channel, equal for each of its openings."""
    source: str
    """The name of the installation, MLOPS_NAME."""
    model: str
    version: str | None
    rule: str
    subject: str
    severity: Severity
    owner: str
    """The first owner of the model; empty if it has none."""
    alert: int | None
    """The number of the alert for `mlops alerts show`; None for a change."""
    title: str
    summary: str
    value: str
    """The measured value with its interval, count and window, as text; empty if nothing was measured."""
    limit: str
    since: datetime | None
    opened_at: datetime | None
    at: datetime
    """The time of the event, by the clock of the alerts."""
    told_at: datetime
    """The time at which the message was put into the outbox."""
    done: str
    do: str
    """A command that shows more, or acts; empty if there is nothing to do."""
    actor: str
    links: tuple[Link, ...]

    @property
    def muted(self) -> bool:
        """True if something mutes the alert, which ends in the channel and goes on."""
        return self.title.startswith(f"[{_MUTED}]")

    @property
    def about(self) -> str:
        """The model and version; "all models" for the platform."""
        return " ".join(filter(None, (_model(self.model), self.version)))


@dataclass(frozen=True, slots=True)
class Site:
    """The installation: its name, and the addresses of its pages; None where such pages are not served."""

    name: str
    board: str | None = None
    dagster: str | None = None
    docs: str | None = None


def message_of(
    event: AlertEvent, alert: Alert | None, site: Site, now: datetime, owner: str = "", repeat: int = 0
) -> Message:
    """Return the message about an event of `alert`, or about an event without one; `repeat` counts its reminders."""
    reading = None if alert is None else alert.reading
    version = event.version or (None if alert is None else alert.version)
    about = " ".join(filter(None, (_model(event.model), version)))
    told = _told(event, alert)
    headline = event.summary if alert is None else _headline(alert)
    return Message(
        id=f"{site.name}-{event.id}" + (f"-{repeat}" if repeat else ""),
        key=f"mlops:{site.name}:event:{event.id}" if alert is None else alert.key,
        source=site.name,
        model=event.model,
        version=version,
        rule=event.rule,
        subject=event.subject,
        severity=event.severity if alert is None else alert.severity,
        owner=owner,
        alert=None if alert is None else alert.id,
        title=f"[{_heading(event, alert)}] {about}: {headline}",
        summary=told,
        value="" if reading is None else value_text(reading),
        limit="" if reading is None or reading.limit is None else _amount(reading.limit, reading.unit),
        since=None if alert is None else alert.since,
        opened_at=None if alert is None else alert.opened_at,
        at=event.at,
        told_at=now,
        done=event.done or ("" if alert is None else alert.done),
        do="" if alert is None or not alert.open else command_of(alert),
        actor=event.actor,
        links=tuple(_links(event, alert, site)),
    )


def facts(message: Message) -> Iterator[tuple[str, str]]:
    """Return the labelled facts of a message, in the order in which people need them; those that are known."""
    known = {
        "Version": message.version or "",
        "Value": message.value,
        "Limit": message.limit,
        "Since": "" if message.since is None else minute_text(message.since),
        "Opened": "" if message.opened_at is None else minute_text(message.opened_at),
        "Done by the platform": message.done,
        "To do": message.do,
        "Owner": message.owner,
    }
    return ((name, text) for name, text in known.items() if text)


def digest_of(opened: Message, resolved: Message) -> Message:
    """Return the message of an alert that was over before it could be told."""
    span = "for a time that is not known"
    if opened.opened_at is not None:
        span = f"from {minute_text(opened.opened_at)} to {in_utc(resolved.at):%H:%M} UTC"
        if in_utc(opened.opened_at).date() != in_utc(resolved.at).date():
            span = f"from {minute_text(opened.opened_at)} to {minute_text(resolved.at)}"
    return resolved.model_copy(
        update={
            "title": f"{opened.title} (over)",
            "summary": f"It was open {span} and could not be told in time. {opened.summary}",
            "severity": opened.severity,
            "value": opened.value,
            "limit": opened.limit,
        }
    )


def value_text(reading: Reading) -> str:
    """Return the measured value with its unit, and in brackets its interval, count and window where they are known.

    >>> value_text(Reading(90.2, 89.1, 91.2, samples=3104, unit="%", counted="labels", window=timedelta(hours=24)))
    '90.2 % (89.1-91.2, 3,104 labels, 24 h)'
    """
    interval = ""
    if reading.low is not None and reading.high is not None:
        interval = f"{number_text(reading.low)}-{number_text(reading.high)}"
    count = "" if reading.samples is None else counted(reading.samples, reading.counted or "samples")
    window = "" if reading.window is None else duration_text(reading.window)
    brackets = ", ".join(filter(None, (interval, count, window)))
    value = _amount(reading.value, reading.unit)
    return f"{value} ({brackets})" if brackets else value


def number_text(value: float) -> str:
    """Return a number with four digits, or without decimals from 1,000 on.

    >>> number_text(0.123456), number_text(90.2), number_text(12345.6)
    ('0.1235', '90.2', '12,346')
    """
    return f"{value:,.0f}" if abs(value) >= 1_000 else f"{value:.4g}"


def duration_text(duration: timedelta) -> str:
    """Return a duration in whole minutes, hours (up to 48) or days.

    >>> duration_text(timedelta(hours=24)), duration_text(timedelta(minutes=10)), duration_text(timedelta(days=30))
    ('24 h', '10 min', '30 days')
    """
    if duration < timedelta(hours=1):
        return f"{duration / timedelta(minutes=1):.0f} min"
    hours = duration / timedelta(hours=1)
    return f"{hours:.0f} h" if duration <= timedelta(hours=48) else f"{hours / 24:.0f} days"


def minute_text(time: datetime) -> str:
    return f"{in_utc(time):%Y-%m-%d %H:%M} UTC"


def asset_of(rule: str) -> str:
    """Return the Dagster asset whose page shows what an alert of the rule is about.

    >>> asset_of("psi"), asset_of("held")
    ('drift_report', 'deployment')
    """
    return _ASSETS.get(rule, "deployment")


def _told(event: AlertEvent, alert: Alert | None) -> str:
    """Return the reason of an acknowledgement, a mute or an end, and else what is wrong."""
    if alert is None:
        return event.summary
    if event.kind is EventKind.MUTED:
        return f"{_capital(event.summary)}; if it is still open when that is over, it is told again. {alert.summary}"
    if event.kind is EventKind.ACTED and alert.open:
        return f"{_capital(event.summary)}. {alert.summary}"
    if event.kind is EventKind.ACKNOWLEDGED:
        return f"Acknowledged by {event.actor}: {event.summary}"
    return alert.summary if alert.open else alert.resolution


def _heading(event: AlertEvent, alert: Alert | None) -> str:
    if alert is None:
        return event.severity.upper()
    if event.kind is EventKind.MUTED:
        return _MUTED
    return alert.severity.upper() if alert.open else "RESOLVED"


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _headline(alert: Alert) -> str:
    if alert.reading is None:
        return alert.summary
    subject = f" {alert.subject}" if alert.subject and alert.subject != alert.version else ""
    limit = alert.reading.limit
    bound = "" if limit is None else f", limit {_amount(limit, alert.reading.unit)}"
    return f"{alert.rule}{subject} {value_text(alert.reading)}{bound}"


def _amount(value: float, unit: str) -> str:
    is_one = value == 1 and unit not in ("%", "ms")
    return f"{number_text(value)} {singular(unit) if is_one else unit}".rstrip()


def _model(model: str) -> str:
    return "all models" if model == FLEET else model


def _links(event: AlertEvent, alert: Alert | None, site: Site) -> Iterator[Link]:
    if site.board:
        page = "" if event.model == FLEET else model_page("", event.model)
        place = "" if alert is None else f"{page or '/'}#alert-{alert.id}"
        yield Link(text="Control room", url=f"{site.board}{place or page}")
    if site.docs and event.rule not in set(Notice):
        yield Link(text="Runbook", url=f"{site.docs}/runbooks/{event.rule}.html")
    if site.dagster and event.model != FLEET:
        asset = asset_of("" if alert is None else alert.rule)
        yield Link(text="Dagster", url=asset_page(site.dagster, event.model, asset))
    run = event.evidence.get("run") if alert is None else alert.retraining
    if site.dagster and isinstance(run, str):
        yield Link(text="Retraining", url=run_page(site.dagster, run))
