"""The rules of the page's models: limits, present value, and how near each is to an alert."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Final, NamedTuple

from mlops_dagster.alerting import AlertPolicy, Rule, Severity
from mlops_dagster.alerting.criteria import criteria
from mlops_dagster.alerting.judging import Condition, Criterion, Gauge, Latch, Proof, Watch
from mlops_dagster.alerting.judging.proof import needed_evidence
from mlops_dagster.board.snapshot.entities import PolicyPanel, RuleRow
from mlops_dagster.board.snapshot.view import View
from mlops_dagster.monitoring import DriftPolicy
from mlops_dagster.statistics import log_evidence

_MINUTE: Final = timedelta(minutes=1)
_RULES: Final = (
    Rule.ACCURACY,
    Rule.ERROR_RATE,
    Rule.P99_MS,
    Rule.NULL_RATE,
    Rule.PSI,
    Rule.KS,
    Rule.LABEL_DEBT,
    Rule.NO_TRAFFIC,
    Rule.REPORT_LATE,
    Rule.NO_DATA,
)
_UNITS: Final[Mapping[Rule, str]] = {
    Rule.ACCURACY: "%",
    Rule.ERROR_RATE: "%",
    Rule.NULL_RATE: "%",
    Rule.P99_MS: "ms",
    Rule.LABEL_DEBT: "times",
    Rule.REPORT_LATE: "times",
}
_COUNTED: Final[Mapping[Rule, str]] = {
    Rule.P99_MS: "requests",
    Rule.PSI: "rows",
    Rule.KS: "rows",
    Rule.LABEL_DEBT: "answers",
}


def policies(view: View) -> tuple[PolicyPanel, ...]:
    """Return the rules of each model of the page that has a champion; of the past, without their state."""
    return tuple(_panel(view, model) for model in view.models if view.deployments[model].champion is not None)


def _panel(view: View, model: str) -> PolicyPanel:
    published, policy = view.policies(model), view.alert_policy(model)
    watches = {} if view.past else {watch.rule: watch for watch in view.stores.watches.all(model).values()}
    drift = published.section("drift", DriftPolicy)
    on = criteria(policy)
    return PolicyPanel(
        model=model,
        version=view.deployments[model].champion,
        origin=published.origin,
        rules=tuple(
            rule_row(rule, on[rule], watches.get(rule), policy, drift, view.at, past=view.past)
            if rule in on
            else _off(rule)
            for rule in _RULES
        ),
    )


def rule_row(
    rule: Rule,
    criterion: Criterion,
    watch: Watch | None,
    policy: AlertPolicy,
    drift: DriftPolicy,
    now: datetime,
    *,
    past: bool = False,
) -> RuleRow:
    """Return one rule that is on. `watch` is None before its first look."""
    part, gauge = _worst(watch)
    numbers = _numbers(rule, criterion, watch, gauge, drift)
    window = criterion.shown
    limits = policy.p99_ms if rule is Rule.P99_MS else None
    progress = None if watch is None or watch.missing else _progress(criterion, watch, gauge)
    return RuleRow(
        rule=rule.value,
        part=part,
        on=True,
        warning=numbers.warning,
        critical=numbers.critical,
        unit=_UNITS.get(rule, ""),
        low_is_bad=rule is Rule.ACCURACY,
        now=numbers.now,
        low=numbers.low,
        high=numbers.high,
        samples=None if gauge is None else gauge.samples,
        min_samples=window.min_samples if window is not None else None if limits is None else limits.min_samples,
        counted=window.of if window is not None else _COUNTED.get(rule, ""),
        condition=None if watch is None else watch.condition,
        state="not kept for the past" if past else _state(criterion, watch, gauge, now),
        progress=progress,
        way=_way(criterion),
        since=None if gauge is None else gauge.over_since,
        judged_at=None if watch is None else watch.through,
    )


def _off(rule: Rule) -> RuleRow:
    return RuleRow(
        rule=rule.value,
        part="",
        on=False,
        warning=None,
        critical=None,
        unit="",
        low_is_bad=False,
        now=None,
        low=None,
        high=None,
        samples=None,
        min_samples=None,
        counted="",
        condition=None,
        state="off",
        progress=None,
        way="",
        since=None,
        judged_at=None,
    )


def _worst(watch: Watch | None) -> tuple[str, Gauge | None]:
    """Return the part of a rule whose number is the largest, a broken one before the others."""
    if watch is None or not watch.gauges:
        return "", None
    return next(iter(watch.broken.items()), None) or max(watch.gauges.items(), key=lambda each: each[1].value or 0.0)


class _Numbers(NamedTuple):
    """The numbers of a rule in the unit that people read."""

    now: float | None
    low: float | None
    high: float | None
    warning: float | None
    critical: float | None


def _numbers(
    rule: Rule, criterion: Criterion, watch: Watch | None, gauge: Gauge | None, drift: DriftPolicy
) -> _Numbers:
    value = None if gauge is None else gauge.value
    if rule in (Rule.ACCURACY, Rule.ERROR_RATE, Rule.NULL_RATE):
        return _percent(rule, criterion, gauge)
    if rule in (Rule.PSI, Rule.KS):  # the watch has the report's verdict as its number, and keeps the distance
        kept = watch.kept[0] if watch is not None and watch.kept and value is not None else None
        limits = (drift.monitor, drift.retrain) if rule is Rule.PSI else (drift.ks, None)
        return _Numbers(kept, None, None, *limits)
    if rule is Rule.NO_TRAFFIC:  # a finding, and no number
        return _Numbers(None, None, None, None, None)
    return _Numbers(value, None, None, criterion.warning, criterion.critical)


def _percent(rule: Rule, criterion: Criterion, gauge: Gauge | None) -> _Numbers:
    """Return a rate in percent; an accuracy is what is left of the rate of wrong answers."""

    def shown(share: float | None) -> float | None:
        if share is None:
            return None
        return round(100 * (1 - share if rule is Rule.ACCURACY else share), 6)

    low, high = (None, None) if gauge is None else (shown(gauge.low), shown(gauge.high))
    if rule is Rule.ACCURACY:
        low, high = high, low
    tolerated = 0.0 if gauge is None else gauge.tolerated
    critical = None if criterion.critical is None else max(criterion.critical, tolerated)
    now = None if gauge is None else shown(gauge.value)
    return _Numbers(now, low, high, shown(max(criterion.warning, tolerated)), shown(critical))


def _state(criterion: Criterion, watch: Watch | None, gauge: Gauge | None, now: datetime) -> str:
    if watch is None:
        return "not judged yet"
    match watch.condition:
        case Condition.CANNOT_TELL:
            severity = "" if watch.severity is None else f"{watch.severity.value} stays open; "
            return f"{severity}cannot tell: {watch.missing}"
        case Condition.PENDING if not isinstance(criterion.way, Proof) and gauge is not None and gauge.over_since:
            over = (now - gauge.over_since) / _MINUTE
            return f"pending {over:.0f} of {criterion.way.opens / _MINUTE:.0f} min"
        case Condition.PENDING:
            return "over the limit, not proven"
        case Condition.FIRING | Condition.RECOVERING as condition:
            return f"{condition.value}, {(watch.severity or Severity.WARNING).value}"
    return "ok"


def _progress(criterion: Criterion, watch: Watch, gauge: Gauge | None) -> float | None:
    """Return how near the warning is to opening; 1 once it is open. None without a number."""
    if gauge is None:
        return None
    if gauge.severity is not None:
        return 1.0
    way = criterion.way
    if isinstance(way, Proof):
        latches = [each.warning for each in watch.gauges.values()]
        return max((_toward(latch, way, len(latches)) for latch in latches), default=0.0)
    if gauge.over_since is None or watch.through is None:
        return 0.0
    return min((watch.through - gauge.over_since) / way.opens, 1.0) if way.opens else 1.0


def _toward(latch: Latch, way: Proof, parts: int) -> float:
    """Return how much of the needed evidence there is, from 0 to 1."""
    if not latch.logs or latch.broken:
        return float(latch.broken)
    return min(max(log_evidence(latch.logs) / needed_evidence(way, parts), 0.0), 1.0)


def _way(criterion: Criterion) -> str:
    """Return how an alert of the rule opens, in words.

    >>> _way(Criterion(0.1, None, Proof(1.0)))
    'proof, 1 false alarm a year'
    """
    way = criterion.way
    if isinstance(way, Proof):
        return f"proof, {way.false_alarms_a_year:g} false alarm{'' if way.false_alarms_a_year == 1 else 's'} a year"
    return f"over it for {way.opens / _MINUTE:g} min" if way.opens else "at once"
