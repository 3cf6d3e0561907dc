"""The six figures, over all models."""

from collections import Counter
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Final

from mlops_dagster.alerting import Severity
from mlops_dagster.board.snapshot.entities import (
    Accuracy,
    ActiveModels,
    Figures,
    Hint,
    Latency,
    Requests,
    Uptime,
    Versions,
)
from mlops_dagster.board.snapshot.links import grafana
from mlops_dagster.board.snapshot.section import NO_MODEL, section
from mlops_dagster.board.snapshot.view import View, worst_alerts
from mlops_dagster.documents.texts import counted
from mlops_dagster.predictions import (
    NOTHING,
    LabelDebt,
    LatencySummary,
    added,
    awaiting_by_hour,
    awaiting_by_minute,
    held_by_model,
    latency_by_model,
    requests_by_model,
    summarize,
    totals_by_model,
)
from mlops_dagster.registry import Stage
from mlops_dagster.statistics import wilson_interval

SHOWN: Final = timedelta(minutes=10)
_WIDER: Final = (SHOWN, timedelta(hours=1), timedelta(days=1))
_ENOUGH: Final = 200
"""The requests under which the window of the latency is widened."""
_DAY: Final = timedelta(days=1)
_WEEK: Final = timedelta(weeks=1)
_HOUR: Final = timedelta(hours=1)
_MINUTE: Final = timedelta(minutes=1)


def figures(view: View) -> Figures:
    """Return the six figures."""
    return Figures(
        models=section(view, _models, lambda its: NO_MODEL if not its.active + its.without_champion else None),
        uptime=section(view, _uptime, lambda its: None if its.requests else Hint("no traffic")),
        latency=section(view, _latency, lambda its: None if its.requests else Hint("no request in 24 hours")),
        versions=section(view, _versions, lambda its: None if its.tracked else NO_MODEL),
        accuracy=section(view, _accuracy, _no_label),
        requests=section(view, _requests, lambda its: None if its.per_minute else Hint("no request in ten minutes")),
        grafana=grafana(view, "fleet", _DAY),
    )


def _models(view: View) -> ActiveModels:
    deployments = view.deployments.values()
    severities = Counter(severity for model, severity in worst_alerts(view.alerts).items() if model in view.deployments)
    active = sum(each.champion is not None for each in deployments)
    return ActiveModels(
        active=active,
        without_champion=len(deployments) - active,
        on_hold=sum(each.on_hold is not None for each in deployments),
        with_critical=severities[Severity.CRITICAL],
        with_warning=severities[Severity.WARNING],
    )


def _uptime(view: View) -> Uptime:
    since = view.month_since
    held = held_by_model(view.stores.rollups, since, view.at)
    found = {model: added(days.values()) for model, days in view.days.items()}
    requests, bad, allowed = 0, 0, 0.0
    left: dict[str, float] = {}
    for model in {*found, *held} & view.deployments.keys():
        its = found.get(model, NOTHING)
        every, failed = its.requests + held.get(model, 0), its.failed + held.get(model, 0)
        if every:
            budget = every * (1 - view.slo(model).availability)
            requests, bad, allowed = requests + every, bad + failed, allowed + budget
            left[model] = 1 - failed / budget
    worst = min(left, key=lambda model: left[model], default=None)
    return Uptime(
        share=1 - bad / requests if requests else None,
        objective=1 - allowed / requests if requests else view.slo("").availability,
        budget_left=1 - bad / allowed if requests else None,
        requests=requests,
        bad=bad,
        days=(view.at - since) / _DAY,
        worst=worst,
        worst_budget_left=None if worst is None else left[worst],
    )


def _latency(view: View) -> Latency:
    found: Mapping[str, Counter[int]] = {}
    window = SHOWN
    for window in _WIDER:
        found = latency_by_model(view.stores.rollups, view.at - window, view.at)
        if sum(sum(each.values()) for each in found.values()) >= _ENOUGH:
            break
    whole = summarize(sum(found.values(), Counter()))
    worst, its, limit = _slowest(view, found)
    return Latency(
        p99_ms=None if whole is None else whole.p99,
        requests=0 if whole is None else whole.requests,
        minutes=window / _MINUTE,
        worst=worst,
        worst_ms=None if its is None else its.p99,
        limit_ms=limit,
    )


def _slowest(view: View, found: Mapping[str, Counter[int]]) -> tuple[str | None, LatencySummary | None, float | None]:
    """Return the model whose latency is the largest part of its limit, its latency and the limit; None without any."""
    worst: tuple[str | None, LatencySummary | None, float | None] = (None, None, None)
    largest = -1.0
    for model in sorted(found.keys() & view.deployments.keys()):
        limits, its = view.alert_policy(model).p99_ms, summarize(found[model])
        if limits is not None and its is not None and its.p99 / limits.warning > largest:
            worst, largest = (model, its, limits.warning), its.p99 / limits.warning
    return worst


def _versions(view: View) -> Versions:
    every = sum((Counter(each) for each in view.stages.values()), Counter[Stage]())
    return Versions(every.total(), every[Stage.DEPRECATED], len(view.deployments))


def _accuracy(view: View) -> Accuracy:
    day = added(totals_by_model(view.stores.rollups, view.at - _DAY, view.at).values())
    low, high = wilson_interval(day.labelled - day.wrong, day.labelled) if day.labelled else (None, None)
    limits = view.alert_policy("").accuracy
    debt = _debt(view)
    return Accuracy(
        value=1 - day.wrong / day.labelled if day.labelled else None,
        low=low,
        high=high,
        labels=day.labelled,
        needed=0 if limits is None else limits.min_samples,
        awaiting=debt.awaiting,
        oldest_hours=None if debt.oldest_at is None else (view.at - debt.oldest_at) / _HOUR,
        median_hours=None if debt.median_at is None else (view.at - debt.median_at) / _HOUR,
    )


def _debt(view: View) -> LabelDebt:
    """Return the label debt of all models: of days, then of the hours and minutes of the oldest and the median."""
    rollups = view.stores.rollups
    answers, labelled = Counter[datetime](), Counter[datetime]()
    for days in view.days.values():
        for at, its in days.items():
            answers[at] += its.answers
            labelled[at] += its.labelled
    waiting = [(at, answers[at], answers[at] - labelled[at]) for at in sorted(answers)]
    for step, finer in ((_DAY, awaiting_by_hour), (_HOUR, awaiting_by_minute)):
        rough = LabelDebt.of(waiting)
        near = {rough.oldest_at, rough.median_at} - {None}
        detail = [each for at in near if at is not None for each in finer(rollups, at, min(at + step, view.at))]
        waiting = sorted([each for each in waiting if each[0] not in near] + detail)
    return LabelDebt.of(waiting)


def _no_label(its: Accuracy) -> Hint | None:
    if its.labels:
        return None
    waits = f"{counted(its.awaiting, 'answers')} without one"
    since = "" if its.oldest_hours is None else f", the oldest for {_age(its.oldest_hours)}"
    return Hint(f"0 of {counted(its.needed, 'labels')}, {waits}{since}; labels come by POST /v1/models/MODEL/feedback")


def _age(hours: float) -> str:
    return f"{60 * hours:.0f} min" if hours < 1 else f"{hours:.0f} h"


def _requests(view: View) -> Requests:
    rollups, at = view.stores.rollups, view.at
    now = sum(requests_by_model(rollups, at - SHOWN, at).values())
    before = sum(requests_by_model(rollups, at - _WEEK - SHOWN, at - _WEEK).values())
    minutes = SHOWN / _MINUTE
    return Requests(now / minutes, before / minutes if before else None, now / before - 1 if before else None)
