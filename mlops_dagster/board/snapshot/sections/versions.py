"""The versions of the page's models, and their live figures of a day."""

from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final

from mlops_dagster.board.snapshot.entities import KpiRow, Point, Series, VersionRow
from mlops_dagster.board.snapshot.links import asset, grafana, run
from mlops_dagster.board.snapshot.view import VERSIONS_A_PAGE, View
from mlops_dagster.loop.shown.versions import accuracy, serving, trained
from mlops_dagster.loop.watching.increments import hour_of
from mlops_dagster.predictions import HourOfVersion, ServedBy, hours_by_version, latency_by_hour, summarize
from mlops_dagster.registry import Deployment, ModelVersion, Stage
from mlops_dagster.registry.operations.fleet import VersionMove
from mlops_dagster.statistics import wilson_interval

MOST: Final = 5
"""The versions without a role of each model on the page of all models: the newest."""
_DAY: Final = timedelta(days=1)
_HOUR: Final = timedelta(hours=1)


def versions(view: View) -> tuple[VersionRow, ...]:
    """Return the versions: those in a role first, then the newest; of one model, those of its page."""
    moves: defaultdict[str, defaultdict[str, list[VersionMove]]] = defaultdict(lambda: defaultdict(list))
    for move in view.stores.registry.moves(view.models, as_of=view.at):
        moves[move.model][move.version].append(move)
    shown = {model: _shown(view, model, moves[model]) for model in view.models}
    known = view.stores.registry.versions_of(shown)
    return tuple(
        _row(view, known[model, name], moves[model][name])
        for model, names in shown.items()
        for name in names
        if (model, name) in known
    )


def in_a_role(deployment: Deployment) -> Sequence[str]:
    """Return the champion, the canary and the shadows, as far as there are any."""
    return [name for name in (deployment.champion, deployment.canary, *deployment.shadows) if name is not None]


def _shown(view: View, model: str, registered: Collection[str]) -> Sequence[str]:
    """Return the versions to be shown of those `registered`, which are in the order of their registration."""
    first = [name for name in in_a_role(view.deployments[model]) if name in registered]
    names = list(dict.fromkeys([*first, *reversed(list(registered))]))
    if view.only is None:
        return names[: len(first) + MOST]
    start = (view.page.number - 1) * VERSIONS_A_PAGE
    return names[start : start + VERSIONS_A_PAGE]


def _row(view: View, version: ModelVersion, moves: Sequence[VersionMove]) -> VersionRow:
    served, last = serving(view.deployments[version.model], version.version), moves[-1]
    judged = [move for move in moves if move.kind == "rollback" or move.stage is Stage.PRODUCTION]
    return VersionRow(
        model=version.model,
        version=version.version,
        trained=trained(version),
        accuracy=accuracy(version),
        stage=last.stage.value,
        rolled_back=bool(judged) and judged[-1].kind == "rollback",
        role=served.role,
        traffic=0.0 if served.on_hold else served.traffic,
        on_hold=served.on_hold is not None and served.role in ("champion", "canary"),
        why=last.reason,
        why_at=last.at,
        has_card=version.card is not None,
        command=f"mlops models show {version.model} {version.version}",
        run=run(view, version.lineage.get("dagster_run")),
        asset=asset(view, version.model, "registered_version"),
    )


def kpis(view: View) -> tuple[KpiRow, ...]:
    """Return the live figures of each version that answered requests within 24 hours, or has a role now."""
    rollups, since = view.stores.rollups, hour_of(view.at) - _DAY + _HOUR
    events = hours_by_version(rollups, view.models, since, view.at)
    latencies = latency_by_hour(rollups, view.models, since, view.at)
    hours = [since + hour * _HOUR for hour in range(24)]
    found = []
    for model in view.models:
        its = view.deployments[model]
        names = [*in_a_role(its), *sorted(name for of, name in events if of == model)]
        for name in dict.fromkeys(names):
            of = ServedBy(model, name)
            role = serving(its, name).role
            page = grafana(view, "model", _DAY, model=model, version=name)
            found.append(_kpi(of, role, events.get(of, {}), latencies.get(of, {}), hours, page))
    return tuple(found)


def _kpi(
    of: ServedBy,
    role: str | None,
    events: Mapping[datetime, HourOfVersion],
    latencies: Mapping[datetime, Counter[int]],
    hours: Sequence[datetime],
    grafana_page: str | None,
) -> KpiRow:
    day = sum(events.values(), HourOfVersion(0, 0, 0, 0, 0, 0, 0))
    low, high = wilson_interval(day.labelled - day.wrong, day.labelled) if day.labelled else (None, None)
    latency = summarize(sum(latencies.values(), Counter()))
    by_hour = {at: summarize(buckets) for at, buckets in latencies.items()}
    return KpiRow(
        model=of.model,
        version=of.version,
        role=role,  # type: ignore[arg-type]  # that of `Serving`
        requests=day.requests,
        errors=day.errors,
        error_rate=_share(day.errors, day.requests),
        p50_ms=None if latency is None else latency.p50,
        p99_ms=None if latency is None else latency.p99,
        accuracy=_share(day.labelled - day.wrong, day.labelled),
        low=low,
        high=high,
        labels=day.labelled,
        awaiting=day.unlabelled,
        grafana=grafana_page,
        accuracy_series=_series(
            hours, {at: (_share(its.labelled - its.wrong, its.labelled), its.labelled) for at, its in events.items()}
        ),
        p99_series=_series(hours, {at: (its.p99, its.requests) for at, its in by_hour.items() if its is not None}),
        error_series=_series(
            hours, {at: (_share(its.errors, its.requests), its.requests) for at, its in events.items()}
        ),
        request_series=_series(hours, {at: (its.requests, its.requests) for at, its in events.items()}),
    )


def _series(hours: Sequence[datetime], values: Mapping[datetime, tuple[float | None, int]]) -> Series:
    return tuple(Point(at, *values.get(at, (None, 0))) for at in hours)


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None
