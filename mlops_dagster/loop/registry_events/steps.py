"""The steps of alerts that follow from one change of the registry. Pure."""

from collections.abc import Mapping, Sequence

from mlops_dagster.alerting import Ending, News, Notice, Rule, Severity, Sighting, Step
from mlops_dagster.registry import Event, Stage

_ANSWERING = (Stage.CANARY, Stage.PRODUCTION)


def steps_of(change: Sequence[Event]) -> list[Step]:
    """Return the steps that follow from the events of one change (one epoch) of one model, in order."""
    is_rollback = any(event.kind == "rollback" for event in change)
    return [step for event in change for step in _steps(event, is_rollback=is_rollback)]


def _steps(event: Event, *, is_rollback: bool) -> Sequence[Step]:
    match event.kind:
        case "rollback":
            return _rollback(event)
        case "transition":
            return _transition(event, is_rollback=is_rollback)
        case "weight":
            return [_news(event, Notice.STEP, f"{event.version} answers {_share(event)}")]
        case "paused":
            return [_news(event, Notice.PAUSED, f"the rollout of {event.version} is paused by {event.actor}")]
        case "resumed":
            return [_news(event, Notice.RESUMED, f"the rollout of {event.version} goes on, by {event.actor}")]
        case "approval_requested":
            return [_news(event, Notice.WAITS_FOR_APPROVAL, f"{event.version} waits for a person's approval")]
        case "held":
            return [_held(event)]
        case "released":
            return [Ending(event.model, Rule.HELD, f"released by {event.actor}: {event.reason}")]
        case "not_loaded":
            return [_not_loaded(event)]
        case _:
            return []


def _rollback(event: Event) -> Sequence[Step]:
    """Return the alert and the news of a version that was found bad; only a warning of a shadow."""
    version, answering = str(event.version), event.deployment.champion
    done = f"taken out by {event.actor}; {f'{answering} answers' if answering else 'no version answers'}"
    alert = Sighting(
        event.model,
        Rule.ROLLED_BACK,
        version,
        Severity.CRITICAL if event.from_stage in _ANSWERING else Severity.WARNING,
        f"{version} was found bad as {event.from_stage}: {event.reason}",
        version=version,
        since=event.at,
        done=done,
        evidence=_evidence(event),
    )
    return [alert, _news(event, Notice.ROLLBACK, f"{version} is rolled back", done)]


def _transition(event: Event, *, is_rollback: bool) -> Sequence[Step]:
    """Return the news of a version that moved; none of an old champion that leaves, or comes back by a rollback."""
    version, before = event.version, event.from_stage
    again = Ending(event.model, Rule.ROLLED_BACK, f"{version} is in {event.to_stage} again", subject=str(version))
    match event.to_stage:
        case Stage.PRODUCTION:
            return [again] if is_rollback else [again, _news(event, Notice.PROMOTED, f"{version} is champion")]
        case Stage.CANARY:
            return [again, _news(event, Notice.STEP, f"{version} is canary and answers {_share(event)}")]
        case Stage.SHADOW if before is not Stage.PRODUCTION:
            return [again, _news(event, Notice.STEP, f"{version} is shadow")]
        case Stage.REGISTERED:
            return [_news(event, Notice.GIVEN_UP, f"{version} is taken out without being called bad")]
        case Stage.DEPRECATED if before is Stage.SHADOW:
            return [_news(event, Notice.STEP, f"{version} leaves the bake: it is shadow no more")]
        case _:
            return []


def _held(event: Event) -> Step:
    return Sighting(
        event.model,
        Rule.HELD,
        "",
        Severity.WARNING,
        f"every request is answered with 503: {event.reason}",
        version=event.deployment.champion,
        since=event.at,
        done=f"held by {event.actor}",
        evidence=_evidence(event),
    )


def _not_loaded(event: Event) -> Step:
    answers = f"{event.deployment.previous} answers in its place where that is in memory"
    is_champion = event.version == event.deployment.champion
    return Sighting(
        event.model,
        Rule.NOT_LOADED,
        str(event.version),
        Severity.CRITICAL if is_champion else Severity.WARNING,
        f"the data plane cannot load {event.version}: {event.reason}",
        version=event.version,
        since=event.at,
        done=answers if is_champion and event.deployment.previous is not None else "",
        evidence=_evidence(event),
    )


def _news(event: Event, notice: Notice, summary: str, done: str = "") -> News:
    told = f"{summary}: {event.reason}" if event.reason else summary
    return News(event.model, notice, told, event.version, done, _evidence(event))


def _share(event: Event) -> str:
    return f"{100 * event.deployment.canary_weight:.3g} % of the requests"


def _evidence(event: Event) -> Mapping[str, object]:
    """Return the numbers of the event, and what leads back to it."""
    its = {"event": event.id, "epoch": event.epoch, "actor": event.actor, "recorded_at": event.recorded_at.isoformat()}
    return {**{name: event.evidence[name] for name in ("rollout", "decision") if name in event.evidence}, **its}
