"""Observations of reports: their findings on drift, and reports that are late."""

from datetime import timedelta
from typing import Final

from mlops_dagster.alerting import LateReports
from mlops_dagster.alerting.judging import Missing, Observation, Seen, Watch
from mlops_dagster.documents.texts import counted
from mlops_dagster.loop.judging.findings import DRIFT, LABELS, PERFORMANCE, VALIDATION
from mlops_dagster.loop.watching.fleet import HOUR
from mlops_dagster.loop.watching.subject import Subject
from mlops_dagster.monitoring import DriftReport, Verdict

_SAYS: Final = {Verdict.STABLE: 0.0, Verdict.MONITOR: 1.0, Verdict.RETRAIN: 2.0}


def drifted_features(subject: Subject, watch: Watch) -> Observation | None:
    """Return the gravest verdict on a feature: 0 stable, 1 monitor, 2 retrain; None without a baseline."""
    report = subject.drift
    if isinstance(report, Missing) or report is None or report.content.drift is None:
        return report if isinstance(report, Missing) else None
    drift = report.content.drift
    if drift.verdict is Verdict.INCONCLUSIVE and drift.reason:  # withheld
        return Missing(drift.reason)
    judged = [each.verdict for each in drift.features if not each.report_only]
    grave = max((_SAYS[each] for each in judged if each in _SAYS), default=None)
    unknown = sum(each is Verdict.INCONCLUSIVE for each in judged)
    if grave is None or (unknown and not grave and watch.severity is not None):
        return Missing(f"{unknown} of {counted(len(judged), 'features')} cannot be judged")
    limit = drift.policy.retrain if grave == _SAYS[Verdict.RETRAIN] else drift.policy.monitor
    return Seen(report.champion, grave, drift.rows, said=drift.why, kept=(drift.worst_psi or 0.0, limit))


def moved_scores(subject: Subject, _watch: Watch) -> Observation | None:
    """Return 1 if the scores have moved by more than the limit and chance, else 0; None without scores."""
    report = subject.drift
    if isinstance(report, Missing) or report is None or report.content.drift is None:
        return report if isinstance(report, Missing) else None
    drift = report.content.drift
    score = drift.score
    if score.ks is None:
        return None
    if score.verdict is Verdict.INCONCLUSIVE:
        return Missing(score.reason or "the scores cannot be judged")
    said = _of_scores(drift)
    kept = (score.ks.statistic, drift.policy.ks)
    return Seen(report.champion, float(score.elevated), drift.rows, said=said, kept=kept)


def _of_scores(drift: DriftReport) -> str:
    distance, limit = drift.score.ks, drift.policy.ks
    moved = 0.0 if distance is None else distance.statistic
    return f"the distance D of the scores from those of the evaluation is {moved:.3f}, limit {limit:g}"


def lateness(subject: Subject, _watch: Watch) -> Observation | None:
    """Return the age of the most overdue report, as a multiple of the age allowed; None where nothing makes them.

    Reports are due while a code location defines the model.
    """
    limits, policies = subject.alerts.report_late, subject.policies
    if limits is None or policies.location is None or policies.published_at is None:
        return None
    starts = subject.report_starts
    allowed = _allowed(limits)
    ends = {
        kind: starts[kind] + period if kind in starts else policies.published_at
        for kind, (period, _) in allowed.items()
    }
    late = {kind: (subject.now - ends[kind]) / most for kind, (_, most) in allowed.items()}
    worst = max(late, key=lambda kind: late[kind])
    hours = (subject.now - ends[worst]) / HOUR
    said = f"the last {worst} report ended {hours:.0f} h ago, allowed are {allowed[worst][1] / HOUR:g} h"
    return Seen(None, late[worst], said=said)


def _allowed(limits: LateReports) -> dict[str, tuple[timedelta, timedelta]]:
    """Return the period and the age allowed, by kind of report."""
    hourly, daily = timedelta(hours=limits.hourly_hours), timedelta(hours=limits.daily_hours)
    weekly = timedelta(days=limits.weekly_days)
    return {
        VALIDATION.name: (VALIDATION.period, hourly),
        DRIFT.name: (DRIFT.period, hourly),
        PERFORMANCE.name: (PERFORMANCE.period, daily),
        LABELS.name: (LABELS.period, weekly),
    }
