"""Alerts and the feed: what is wrong, what happened, and who watches."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from mlops_dagster.alerting import Reading, Severity


@dataclass(frozen=True, slots=True)
class Watching:
    """The watch over all rules."""

    level: Literal["well", "late", "silent", "unknown"]
    """`late`: the last look is over a minute old; `silent`: over five, or there was none. Then nothing is well.
    `unknown`: the page is about the past, and only the last look is kept."""
    last_look: datetime | None
    seconds: float | None
    """The age of the last look."""
    rules: int | None
    """The rules that are judged, of all models; None of a page about the past, as only the present ones are kept."""
    silent: tuple[str, ...]
    """The watchers that give no sign of life, each as a sentence."""
    retrainings: str = ""
    """The retrainings that wait for their turn, as a sentence; empty if none waits, or for the past."""


@dataclass(frozen=True, slots=True)
class AlertRow:
    """One open alert, the gravest first and muted ones last."""

    id: int
    model: str
    """"*" for an alert about all models or the platform."""
    rule: str
    subject: str
    version: str | None
    severity: Severity
    summary: str
    reading: Reading | None
    since: datetime
    """The event time of the first evidence, or of the opening."""
    opened_at: datetime
    last_seen_at: datetime
    times: int
    flaps: int
    """How often it had opened in the seven days before this opening."""
    done: str
    """The platform's reaction; empty if people have to react."""
    acknowledged_by: str | None
    acknowledged_at: datetime | None
    acknowledged_reason: str
    muted_by: str | None
    """The silence or the open alert that keeps it from being told."""
    muted_until: datetime | None
    """The end of that silence; None if it is none."""
    false_alarms_a_year: float | None
    """The promise of a rule by proof: so many false alarms a year at most; None for other rules."""
    commands: tuple[str, ...]
    """Commands to copy, the next step first."""
    runbook: str | None
    dagster: str | None
    retraining: str | None
    """The Dagster run of the retraining that the platform has started because of it."""


@dataclass(frozen=True, slots=True)
class SilenceRow:
    """One silence in force."""

    id: int
    covers: str
    """"model flights, rule accuracy"; "every alert"."""
    starts_at: datetime
    ends_at: datetime
    actor: str
    reason: str
    command: str
    """The command that ends it."""


@dataclass(frozen=True, slots=True)
class Letters:
    """The messages that are not delivered."""

    waiting: int
    given_up: int
    last_error: str
    command: str


@dataclass(frozen=True, slots=True)
class Alerts:
    """The open alerts of all models, including those that are not on the page."""

    rows: tuple[AlertRow, ...]
    """At most 50 of them."""
    open: int
    """Those that are told."""
    muted: int
    """Those muted by another alert."""
    silenced: int
    """Those muted by a silence."""
    silences: tuple[SilenceRow, ...]
    rules: int | None
    """The rules that could open one, of all models; None of a page about the past."""
    told_nobody: bool
    """True if no channel is set up now: alerts are only recorded. False of a page about the past."""
    letters: Letters | None
    """None without channels, or of a page about the past."""


@dataclass(frozen=True, slots=True)
class FeedEntry:
    """One step in the life of an alert, or one act of the platform or of a person."""

    at: datetime
    kind: str
    """Of an alert: opened, escalated, eased, acknowledged, muted, unmuted, resolved. Else the kind of the registry's
    event (rollback, transition, weight, held, ...) or of the news (retraining_started, waits_for_approval, ...)."""
    severity: Severity
    model: str
    version: str | None
    rule: str
    """The broken rule; empty unless it is about an alert."""
    title: str
    """One line of at most 120 characters; empty if the kind says it all."""
    details: str
    """All that is to be said; empty if the title says it."""
    done: str
    actor: str
    alert: int | None
    decision: int | None
    """The rollout decision that this came from: its page has the arithmetic and replays it."""
    seconds_to_proof: float | None
    """Of a rollback: from the first bad evidence to the proof, by the clock of the events; None if it is not known."""
    seconds_to_zero_traffic: float | None
    """Of a rollback: from the proof until every worker served a deployment without it, by the machine's clock."""
    commands: tuple[str, ...]
    runbook: str | None
    dagster: str | None


@dataclass(frozen=True, slots=True)
class Feed:
    """The last events of the whole fleet, the newest first."""

    entries: tuple[FeedEntry, ...]
    older_at: datetime | None
    """The page as of this time (`?at=`) goes on with older entries; None if these are all."""
