"""The feed of a rehearsal: what people would have been told, and how often they would have been woken."""

from collections.abc import Sequence
from dataclasses import dataclass

from mlops_dagster.alerting import EventKind, Severity
from mlops_dagster.stores import Stores

_SHOWN = (EventKind.OPENED, EventKind.ESCALATED, EventKind.EASED, EventKind.RESOLVED, EventKind.INFO)


@dataclass(frozen=True)
class FeedLine:
    """One event of an alert, or one piece of news."""

    alert: int | None
    """The number of the alert; None for news."""
    at: str
    kind: str
    severity: str
    rule: str
    version: str | None
    summary: str
    done: str
    muted_by: str | None
    """Why it would not have been told; None if it would."""


@dataclass(frozen=True)
class OnCall:
    """The cost of a rehearsal's alerts for the people on call."""

    pages: int
    """Alerts that opened critical, or became so."""
    tickets: int
    """Alerts that opened as warnings."""
    news: int


def feed_of(stores: Stores, model: str) -> list[FeedLine]:
    """Return what was told of a model and of the fleet in a rehearsal, in order; sightings in between are left out."""
    return [
        FeedLine(
            event.alert_id,
            event.at.isoformat(),
            event.kind.value,
            event.severity.value,
            event.rule,
            event.version,
            event.summary,
            event.done,
            None if event.alert is None else event.alert.muted_by,
        )
        for event in stores.alerts.events(model)
        if event.kind in _SHOWN
    ]


def on_call(feed: Sequence[FeedLine]) -> OnCall:
    """Return how many pages, tickets and pieces of news a feed is.

    >>> def line(kind, severity, muted_by=None):
    ...     return FeedLine(1, "2013-03-01", kind, severity, "accuracy", None, "", "", muted_by)
    >>> feed = [line("opened", "warning"), line("escalated", "critical"), line("opened", "critical", "held")]
    >>> on_call(feed)
    OnCall(pages=1, tickets=1, news=0)
    """
    told = [line for line in feed if line.muted_by is None]
    urgent = [line for line in told if line.kind in (EventKind.OPENED, EventKind.ESCALATED)]
    pages = sum(line.severity == Severity.CRITICAL for line in urgent)
    return OnCall(pages, len(urgent) - pages, sum(line.kind == EventKind.INFO for line in told))


def still_open(feed: Sequence[FeedLine]) -> list[FeedLine]:
    """Return the last line of each alert that was open at the end, in order."""
    last = {line.alert: line for line in feed if line.alert is not None}
    return sorted((line for line in last.values() if line.kind != EventKind.RESOLVED), key=lambda line: line.at)


def row_of(line: FeedLine) -> tuple[str, str, str, str]:
    """Return time, event, rule and text of a line, for a table."""
    event = line.severity if line.kind == EventKind.OPENED else line.kind
    muted = f" (muted by {line.muted_by})" if line.muted_by else ""
    return line.at[:16].replace("T", " "), f"{event}{muted}", line.rule, line.summary
