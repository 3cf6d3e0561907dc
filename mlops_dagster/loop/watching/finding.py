"""The finding that an alert tells: a sentence with the number, its interval and its limit."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from mlops_dagster.alerting import Reading, Rule, Severity
from mlops_dagster.alerting.judging import Criterion, Gauge, Proof, Shown, Watch
from mlops_dagster.documents.texts import counted
from mlops_dagster.loop.watching.fleet import HOUR
from mlops_dagster.statistics import wilson_interval

_NAMES: Final = {
    Rule.ACCURACY: "the accuracy",
    Rule.ERROR_RATE: "the share of failed requests",
    Rule.NULL_RATE: "the share of missing values",
    Rule.P99_MS: "the 99th percentile of the latency",
}
_SHOWN: Final = 3
"""The number of features that a sentence names at most."""


@dataclass(frozen=True, slots=True)
class Finding:
    """The text and the numbers of an alert."""

    summary: str
    reading: Reading
    since: datetime | None
    evidence: dict[str, object]


def finding(criterion: Criterion, watch: Watch) -> Finding:
    """Return the finding of a watch whose alert is open.

    A rate is that of the shown window, or, while that is still within the limit, that of the stretch that broke it.
    """
    gauge = next(iter(watch.broken.values()))
    latch, limit = gauge.warning, criterion.warning
    if gauge.severity is Severity.CRITICAL and criterion.critical is not None:
        latch, limit = gauge.critical, criterion.critical
    since = None if latch.broken_by is None else latch.broken_by.since
    reading = _reading(criterion, watch, gauge, max(limit, gauge.tolerated))
    return Finding(_summary(criterion, watch, reading, since), reading, since, _evidence(criterion, watch))


def resolution(watch: Watch, before: Watch, *, replaced: bool) -> str:
    """Return the reason why the alert of `before` is over."""
    if replaced:
        return f"{watch.version} serves now"
    if before.rule in (Rule.ACCURACY, Rule.ERROR_RATE, Rule.NULL_RATE):
        values = [gauge.value for gauge in watch.gauges.values() if gauge.value is not None]
        shown = _share(watch.rule, max(values)) if values else "within the limit"
        return f"{_NAMES[before.rule]} is {shown} again, by the evidence of the last events"
    if before.rule is Rule.P99_MS:
        return f"{_NAMES[before.rule]} is {watch.gauges[''].value or 0.0:.0f} ms again"
    return watch.said or "it is within its limit again"


def _reading(criterion: Criterion, watch: Watch, gauge: Gauge, limit: float) -> Reading:
    if criterion.shown is not None:
        return _rate_reading(watch.rule, gauge, limit, criterion.shown)
    value = gauge.value or 0.0
    match watch.rule:
        case Rule.P99_MS:
            window = timedelta(hours=watch.kept[0]) if watch.kept else None
            return Reading(value, None, None, gauge.samples, limit, "ms", "requests", window)
        case Rule.PSI | Rule.KS:
            number, bound = watch.kept
            return Reading(round(number, 4), samples=gauge.samples, limit=bound, counted="rows")
        case Rule.NO_TRAFFIC:
            return Reading(0.0, samples=0, limit=None, counted="requests", window=HOUR)
        case Rule.NO_DATA:
            return Reading(value, unit="rules")
    return Reading(round(value, 2), samples=gauge.samples, limit=limit, unit="times")


def _rate_reading(rule: Rule, gauge: Gauge, limit: float, shown: Shown) -> Reading:
    rate, low, high, samples, window = gauge.value or 0.0, gauge.low, gauge.high, gauge.samples, shown.length
    latch = gauge.critical if gauge.critical.broken else gauge.warning
    if rate <= limit and latch.broken_by is not None and latch.broken_by.trials:
        _, bad, samples = latch.broken_by
        worth = gauge.rows_per_observation
        rate, (low, high) = bad / samples, wilson_interval(bad / worth, samples / worth)
        return _percent(rule, rate, low, high, samples, limit, shown.of, None)
    return _percent(rule, rate, low, high, samples, limit, shown.of, window)


def _percent(
    rule: Rule,
    rate: float,
    low: float | None,
    high: float | None,
    samples: int | None,
    limit: float,
    counted: str,
    window: timedelta | None,
) -> Reading:
    """Return the reading in percent; an accuracy is what is left of the rate of wrong answers."""

    def shown(share: float) -> float:
        return round(100 * (1 - share if rule is Rule.ACCURACY else share), 3)

    ends = [] if low is None or high is None else sorted((shown(low), shown(high)))
    first, last = ends or (None, None)
    return Reading(shown(rate), first, last, samples, shown(limit), "%", counted, window)


def _summary(criterion: Criterion, watch: Watch, reading: Reading, since: datetime | None) -> str:
    of = f"{watch.version}: " if watch.version else ""
    if watch.rule is Rule.NO_TRAFFIC:
        return f"no request for an hour; the same hour a week before had {watch.gauges[''].samples or 0:,}"
    if watch.rule is Rule.NO_DATA:
        return f"rules that could not be judged for long: {watch.said}"
    if watch.rule not in _NAMES:
        return f"{of}{watch.said}"
    interval = "" if reading.low is None else f" ({reading.low:g} to {reading.high:g} %)"
    number = f"{reading.value:.0f} ms" if reading.unit == "ms" else f"{reading.value:g} %{interval}"
    limit = f"{reading.limit:g} {reading.unit}"
    events = counted(reading.samples, reading.counted) if reading.samples is not None else "no counts"
    when = f"{events}, since {since:%Y-%m-%d %H:%M} UTC" if since is not None else events
    proven = ", proven" if isinstance(criterion.way, Proof) else ""
    return f"{of}{_NAMES[watch.rule]}{_features(watch)} is {number}, limit {limit}{proven}; {when}"


def _features(watch: Watch) -> str:
    names = [name for name in watch.broken if name]
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return f" of {', '.join(names[:_SHOWN])}{more}" if names else ""


def _share(rule: Rule, rate: float) -> str:
    return f"{100 * (1 - rate if rule is Rule.ACCURACY else rate):.4g} %"


def _evidence(criterion: Criterion, watch: Watch) -> dict[str, object]:
    found: dict[str, object] = {"version": watch.version}
    if isinstance(criterion.way, Proof):
        found["false_alarms_a_year"] = criterion.way.false_alarms_a_year
        found["rows_per_observation"] = max(gauge.rows_per_observation for gauge in watch.broken.values())
    parts = {name: round(gauge.value, 6) for name, gauge in watch.broken.items() if name and gauge.value is not None}
    return {**found, "features": parts} if parts else found
