"""The judgement of one look: pure, so that the same observations always give the same alerts."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from mlops_dagster.alerting.alert import Severity
from mlops_dagster.alerting.judging.criterion import Criterion, Duration, Proof, Shown
from mlops_dagster.alerting.judging.observation import Counted, Missing, Observation, Seen
from mlops_dagster.alerting.judging.point import judged_by_duration
from mlops_dagster.alerting.judging.proof import judged_by_proof
from mlops_dagster.alerting.judging.rate import counted
from mlops_dagster.alerting.judging.watch import Gauge, Latch, Watch


@dataclass(frozen=True, slots=True)
class Transition:
    """A change of the alert of a rule: from one severity to another, of which one may be None (no alert)."""

    before: Severity | None
    after: Severity | None
    replaced: bool = False
    """The alert ends because another version serves now."""


def judge(
    criterion: Criterion, watch: Watch, observation: Observation, now: datetime
) -> tuple[Watch, Transition | None]:
    """Return the watch after one look, and the change of its alert; None if it stays as it is.

    A look that is repeated changes nothing. Without numbers no alert opens, changes or resolves, a duration starts
    anew, and the watch says since when it cannot tell. When another version serves, the watch begins anew, and its
    alert ends.
    """
    if watch.through is not None and now <= watch.through:
        return watch, None
    if isinstance(observation, Missing):
        blind = watch.cannot_tell(observation.reason, now)
        return replace(blind, gauges={name: _interrupted(each) for name, each in watch.gauges.items()}), None
    if watch.through is not None and watch.version != observation.version and watch.gauges:
        anew = Watch(watch.model, watch.rule, observation.version, now, kept=observation.kept)
        return anew, None if watch.severity is None else Transition(watch.severity, None, replaced=True)
    gauges = _with_numbers(criterion, watch.gauges, observation, now)
    lacking = "" if criterion.shown is None else _lacking(gauges, criterion.shown, criterion.way)
    look = _Look(criterion, now, parts=len(gauges), may_change=not lacking)
    after = replace(
        watch,
        version=observation.version,
        through=now,
        gauges={name: look.at(gauge, observation.counts.get(name)) for name, gauge in gauges.items()},
        said=observation.said,
        kept=observation.kept,
        missing=lacking,
        missing_since=(watch.missing_since or now) if lacking else None,
    )
    if after.severity == watch.severity:
        return after, None
    return after, Transition(watch.severity, after.severity)


def _interrupted(gauge: Gauge) -> Gauge:
    return replace(gauge, warning=_interrupted_latch(gauge.warning), critical=_interrupted_latch(gauge.critical))


def _interrupted_latch(latch: Latch) -> Latch:
    """Return the latch after a look without numbers: its time starts anew, while evidence of events stays."""
    return latch if latch.logs else replace(latch, other_side=None)


def _with_numbers(criterion: Criterion, before: Mapping[str, Gauge], seen: Seen, now: datetime) -> dict[str, Gauge]:
    if criterion.shown is None:
        return {"": replace(before.get("", Gauge()), value=seen.value, samples=seen.samples)}
    shown = criterion.shown
    return {name: counted(before.get(name, Gauge()), new, shown, now) for name, new in seen.counts.items()}


def _lacking(gauges: Mapping[str, Gauge], shown: Shown, way: Proof | Duration) -> str:
    """Return the reason why the events are too few to tell; empty if they are not.

    A proof needs the least number of events since the watch began, a duration needs it in the shown window.
    """
    in_window = max((gauge.samples or 0 for gauge in gauges.values()), default=0)
    known = max((gauge.trials for gauge in gauges.values()), default=0) if isinstance(way, Proof) else in_window
    if known < shown.min_samples:
        return f"{known} of {shown.min_samples} {shown.of}"
    return "" if in_window else f"no {shown.of} in {shown.length.total_seconds() / 3600:g} h"


@dataclass(frozen=True, slots=True)
class _Look:
    """One look at the gauges of a rule."""

    criterion: Criterion
    now: datetime
    parts: int
    may_change: bool

    def at(self, gauge: Gauge, new: Counted | None) -> Gauge:
        """Return the gauge with both of its limits judged."""
        warning = self._judged(gauge.warning, self.criterion.warning, gauge, new)
        critical = gauge.critical
        if self.criterion.critical is not None:
            critical = self._judged(critical, self.criterion.critical, gauge, new)
        over = gauge.value is not None and gauge.value > max(self.criterion.warning, gauge.tolerated)
        return replace(
            gauge,
            warning=warning,
            critical=critical,
            over_since=(gauge.over_since or self.now) if over else None,
            counted_at=self.now if gauge.counted_at is None or (new and new.trials) else gauge.counted_at,
        )

    def _judged(self, latch: Latch, limit: float, gauge: Gauge, new: Counted | None) -> Latch:
        limit, way = max(limit, gauge.tolerated), self.criterion.way
        if isinstance(way, Duration):
            if gauge.value is None or not self.may_change:
                return _interrupted_latch(latch)
            return judged_by_duration(latch, gauge.value, way, limit=limit, now=self.now)
        if new is None or gauge.counted_at is None:  # at the first look it is unknown how long the events took
            return latch
        return judged_by_proof(
            latch,
            new,
            way,
            limit=limit,
            since=gauge.counted_at,
            now=self.now,
            parts=self.parts,
            may_change=self.may_change,
        )
