"""The feed: what happened, by the events of alerts and those of the registry that no alert tells of."""

from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import Final

from mlops_dagster.alerting import AlertEvent, EventKind, Notice, Rule, Severity
from mlops_dagster.alerting.channels.message import asset_of
from mlops_dagster.board.snapshot.entities import Feed, FeedEntry, Hint
from mlops_dagster.board.snapshot.links import asset, runbook
from mlops_dagster.board.snapshot.links import run as run_page
from mlops_dagster.board.snapshot.sections.rollback import RollbackTimes, rollback_times
from mlops_dagster.board.snapshot.view import View
from mlops_dagster.registry import Event
from mlops_dagster.registry import EventKind as RegistryKind

MOST: Final = 30
_TITLE: Final = 120
_TICK: Final = timedelta(microseconds=1)
_OF_ALERTS: Final = (
    EventKind.OPENED,
    EventKind.ESCALATED,
    EventKind.EASED,
    EventKind.ACTED,
    EventKind.ACKNOWLEDGED,
    EventKind.RESOLVED,
    EventKind.INFO,
)
_OF_REGISTRY: Final[Sequence[RegistryKind]] = ("registered", "approved", "rejected", "forced", "policies")
"""The events of the registry that alerts do not follow."""
_UNKNOWN: Final = RollbackTimes(None, None)


def feed(view: View) -> Feed:
    """Return the last events until the time of the view, the newest first."""
    told = view.stores.alerts.latest(_OF_ALERTS, at=view.at, limit=2 * MOST, model=view.only)
    noted = view.stores.registry.latest_events(_OF_REGISTRY, as_of=view.at, model=view.only, limit=MOST + 1)
    both: list[AlertEvent | Event] = sorted([*_once(told), *noted], key=lambda each: each.at, reverse=True)
    shown, others = both[:MOST], both[MOST:]
    entries = [_of_alert(view, each) if isinstance(each, AlertEvent) else _of_registry(view, each) for each in shown]
    older = None if not others else min(others[0].at, view.at - _TICK)
    return Feed(tuple(entries), older)


def nothing_yet(its: Feed) -> Hint | None:
    """Tell that nothing has happened yet."""
    return None if its.entries else Hint("nothing has happened yet")


def _once(events: Sequence[AlertEvent]) -> Iterator[AlertEvent]:
    """Yield the events without the news of a rollback that opened an alert too: one of the two is enough."""
    opened = {each.evidence.get("event") for each in events if each.rule == Rule.ROLLED_BACK}
    for each in events:
        if each.rule != Notice.ROLLBACK or each.evidence.get("event") not in opened:
            yield each


def _of_alert(view: View, event: AlertEvent) -> FeedEntry:
    alert, is_news = event.alert, event.kind is EventKind.INFO
    is_rollback = event.rule in (Rule.ROLLED_BACK, Notice.ROLLBACK) and event.kind in (EventKind.OPENED, EventKind.INFO)
    times = _UNKNOWN
    if is_rollback:
        times = rollback_times(view, event)
    decision = event.evidence.get("decision")
    acted = alert is not None and event.kind is EventKind.ACTED
    title, details = _lines(alert.summary if alert is not None and acted else event.summary)
    run = event.evidence.get("run") if alert is None else alert.retraining
    return FeedEntry(
        at=event.at,
        kind=event.rule if is_news else "rollback" if is_rollback else event.kind.value,
        severity=event.severity,
        model=event.model,
        version=event.version,
        rule="" if is_news or is_rollback else event.rule,
        title=title,
        details=details,
        done=event.done,
        actor=event.actor,
        alert=event.alert_id,
        decision=decision if isinstance(decision, int) else None,
        seconds_to_proof=times.to_proof,
        seconds_to_zero_traffic=times.to_zero_traffic,
        commands=(*_commands(decision), *([] if alert is None else [f"mlops alerts show {alert.id}"])),
        runbook=None if is_news else runbook(view, event.rule),
        dagster=run_page(view, run if isinstance(run, str) else None) or asset(view, event.model, asset_of(event.rule)),
    )


def _of_registry(view: View, event: Event) -> FeedEntry:
    title, details = _lines(event.reason if event.version else f"published by {event.reason}")
    show = f"mlops models show {event.model} {event.version}" if event.version else f"mlops policies show {event.model}"
    return FeedEntry(
        at=event.at,
        kind=event.kind,
        severity=Severity.INFO,
        model=event.model,
        version=event.version,
        rule="",
        title=title,
        details=details,
        done="",
        actor=event.actor,
        alert=None,
        decision=None,
        seconds_to_proof=None,
        seconds_to_zero_traffic=None,
        commands=(show,),
        runbook=None,
        dagster=asset(view, event.model, "registered_version" if event.version else "deployment"),
    )


def _commands(decision: object) -> tuple[str, ...]:
    if not isinstance(decision, int):
        return ()
    return f"mlops rollouts explain {decision}", f"mlops rollouts replay {decision}"


def _lines(text: str) -> tuple[str, str]:
    """Return the title and the details of a text: all of it is in the details if it is too long for a title.

    >>> _lines("held"), _lines("x" * 200)[0][-2:], len(_lines("x" * 200)[0])
    (('held', ''), 'x…', 120)
    """
    return (text, "") if len(text) <= _TITLE else (f"{text[: _TITLE - 1].rstrip()}…", text)
