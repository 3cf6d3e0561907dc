"""Drift of the page's models: the newest hourly report, and how each feature came there within a day."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from mlops_dagster.board.snapshot.entities import DriftPanel, FeatureRow, Hint, Point
from mlops_dagster.board.snapshot.links import asset, grafana
from mlops_dagster.board.snapshot.view import View
from mlops_dagster.loop.judging.findings import DRIFT, HourOfDrift
from mlops_dagster.monitoring import DriftReport, FeatureDrift, Verdict
from mlops_dagster.reports import Report

MOST_STABLE: Final = 3
"""The stable features of each model on the page of all models."""
_DAY: Final = timedelta(days=1)
_DUE: Final = timedelta(hours=2)
"""The age of the end of the newest report from which a later one is due."""
_URGENCY: Final = {Verdict.RETRAIN: 0, Verdict.MONITOR: 1, Verdict.INCONCLUSIVE: 2, Verdict.STABLE: 3}


def drift(view: View) -> tuple[DriftPanel, ...]:
    """Return the newest drift report of each model of the page that has one."""
    panels = []
    for model in view.models:
        found = view.stores.reports.latest(
            DRIFT, model, view.at - _DAY - DRIFT.period, view.at - DRIFT.period + timedelta.resolution, at=view.as_of
        )
        if not found:
            ever = datetime.min.replace(tzinfo=view.at.tzinfo)
            last = view.stores.reports.newest(DRIFT, model, ever, view.at, at=view.as_of)
            found = [] if last is None else [last]
        if found:
            panels.append(_panel(view, found))
    return tuple(panels)


def no_report(panels: tuple[DriftPanel, ...]) -> Hint | None:
    """Tell what makes drift reports, if there is none."""
    return None if panels else Hint("no drift report yet; the hourly reports in Dagster make them", "mlops dev")


def _panel(view: View, reports: Sequence[Report[HourOfDrift]]) -> DriftPanel:
    newest = reports[-1]
    report, weighed = newest.content.drift, newest.content.retraining
    until = newest.start + DRIFT.period
    rows = [] if report is None else _rows(report, reports)
    shown, stable = [], 0
    for row in rows:
        stable += row.verdict is Verdict.STABLE
        if view.only or row.verdict is not Verdict.STABLE or stable <= MOST_STABLE:
            shown.append(row)
    return DriftPanel(
        model=newest.model,
        champion=newest.champion,
        start=newest.start,
        until=until,
        window_hours=0.0 if report is None else report.policy.window_hours,
        stale=view.at - until > _DUE,
        verdict=None if report is None else report.verdict,
        reason=newest.reason,
        rows=0 if report is None else report.rows,
        retraining="" if weighed is None else weighed.reason,
        features=tuple(shown),
        hidden_features=len(rows) - len(shown),
        command=f"mlops reports show {newest.model} --kind drift",
        dagster=asset(view, newest.model, "drift_report"),
        grafana=grafana(view, "drift", _DAY, model=newest.model),
    )


def _rows(report: DriftReport, reports: Sequence[Report[HourOfDrift]]) -> list[FeatureRow]:
    """Return a row for the score and each feature, those that ask for a retraining first, then by distance."""
    hours = [(each.start, each.content.drift) for each in reports if each.content.drift is not None]
    by_name = [(at, {each.name: each for each in hour.features}) for at, hour in hours]
    rows = [_feature(each, report, [(at, its.get(each.name)) for at, its in by_name]) for each in report.features]
    return sorted([*rows, _score(report, hours)], key=lambda row: (_URGENCY[row.verdict], -(row.distance or 0)))


def _feature(
    its: FeatureDrift, report: DriftReport, hours: Sequence[tuple[datetime, FeatureDrift | None]]
) -> FeatureRow:
    return FeatureRow(
        name=its.name,
        distance=its.psi,
        chance=its.noise,
        monitor=report.policy.monitor,
        retrain=report.policy.retrain,
        verdict=its.verdict,
        since=_since(its.verdict, [(at, None if each is None else each.verdict) for at, each in hours]),
        report_only=its.report_only,
        reason=its.reason,
        series=tuple(Point(at, None if each is None else each.psi, _count(each)) for at, each in hours),
    )


def _count(each: FeatureDrift | None) -> int:
    return 0 if each is None else round(each.independent_rows)


def _score(report: DriftReport, hours: Sequence[tuple[datetime, DriftReport]]) -> FeatureRow:
    score = report.score
    return FeatureRow(
        name="(score)",
        distance=None if score.ks is None else score.ks.statistic,
        chance=score.noise,
        monitor=report.policy.ks,
        retrain=None,
        verdict=score.verdict,
        since=_since(score.verdict, [(at, each.score.verdict) for at, each in hours]),
        report_only=False,
        reason=score.reason,
        series=tuple(
            Point(at, None if each.score.ks is None else each.score.ks.statistic, each.rows) for at, each in hours
        ),
    )


def _since(verdict: Verdict, hours: Sequence[tuple[datetime, Verdict | None]]) -> datetime | None:
    """Return the first hour from which on the verdict was this one; None if it was in all of these hours."""
    since = None
    for at, each in reversed(hours):
        if each is not verdict:
            return since
        since = at
    return None
