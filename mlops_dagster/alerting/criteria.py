"""The criteria of a model's rules, from its alert policy."""

from collections.abc import Callable, Mapping
from datetime import timedelta
from functools import lru_cache
from types import MappingProxyType
from typing import Final, TypeVar

from mlops_dagster.alerting.judging import Criterion, Duration, Proof, Shown
from mlops_dagster.alerting.policy import (
    AccuracyLimits,
    AlertPolicy,
    DebtLimits,
    LatencyLimits,
    RateLimits,
    ReportedDrift,
    TrafficLimits,
)
from mlops_dagster.alerting.rule import Rule

Limits = TypeVar("Limits")

ERRORS_AT_MOST: Final = 100.0
"""The largest factor of a minute of failed requests: it is not known which of them share a cause, and a storm of one
minute, however bad, is not a proof."""

DAY: Final = timedelta(days=1)
ERRORS_SHOWN: Final = timedelta(minutes=10)

_AT_ONCE: Final = timedelta(0)


@lru_cache(maxsize=4096)  # each look asks for those of every model
def criteria(policy: AlertPolicy) -> Mapping[Rule, Criterion]:
    """Return the criterion of each rule that is not turned off; in each of them a larger number is worse.

    >>> criteria(AlertPolicy())[Rule.ACCURACY].warning  # the rate of wrong answers
    0.07
    """
    found = {
        Rule.ACCURACY: _if(policy.accuracy, _accuracy),
        Rule.ERROR_RATE: _if(policy.error_rate, lambda its: _rate(its, ERRORS_SHOWN, "requests", ERRORS_AT_MOST)),
        Rule.P99_MS: _if(policy.p99_ms, _latency),
        Rule.NULL_RATE: _if(policy.null_rate, lambda its: _rate(its, DAY, "rows")),
        Rule.PSI: _if(policy.psi, lambda its: _verdict(its, critical=1.5)),
        Rule.KS: _if(policy.ks, lambda its: _verdict(its, critical=None)),
        Rule.LABEL_DEBT: _if(policy.label_debt, _debt),
        Rule.NO_TRAFFIC: _if(policy.no_traffic, _silence),
        Rule.NO_DATA: Criterion(0.5, None, Duration(_AT_ONCE, _AT_ONCE)),
        Rule.REPORT_LATE: _if(policy.report_late, lambda _its: Criterion(1.0, 2.0, Duration(_AT_ONCE, _AT_ONCE))),
    }
    return MappingProxyType({rule: criterion for rule, criterion in found.items() if criterion is not None})


def _if(limits: Limits | None, criterion: Callable[[Limits], Criterion]) -> Criterion | None:
    return None if limits is None else criterion(limits)


def _accuracy(its: AccuracyLimits) -> Criterion:
    critical = None if its.critical is None else _wrong(its.critical)
    return Criterion(_wrong(its.warning), critical, _way(its), Shown(DAY, its.min_samples, "labels"))


def _wrong(accuracy: float) -> float:
    return round(1 - accuracy, 12)


def _rate(its: RateLimits, window: timedelta, of: str, most: float = float("inf")) -> Criterion:
    return Criterion(its.warning, its.critical, _way(its, most), Shown(window, its.min_samples, of))


def _way(its: RateLimits, most: float = float("inf")) -> Proof | Duration:
    if its.kind == "proof":
        return Proof(its.false_alarms_a_year, most)
    return Duration(timedelta(minutes=its.for_minutes), timedelta(minutes=its.clear_minutes))


def _latency(its: LatencyLimits) -> Criterion:
    opens, clears = timedelta(minutes=its.for_minutes), timedelta(minutes=its.clear_minutes)
    return Criterion(its.warning, its.critical, Duration(opens, clears, clear_at=0.9))


def _verdict(its: ReportedDrift, *, critical: float | None) -> Criterion:
    """Return the criterion of a verdict of the drift report: 0 stable, 1 monitor, 2 retrain."""
    return Criterion(0.5, critical, Duration(_AT_ONCE, timedelta(minutes=its.clear_minutes)))


def _debt(its: DebtLimits) -> Criterion:
    away = timedelta(minutes=its.for_minutes)
    return Criterion(its.warning, its.critical, Duration(away, away))


def _silence(its: TrafficLimits) -> Criterion:
    return Criterion(0.5, None, Duration(timedelta(minutes=its.for_minutes), _AT_ONCE))
