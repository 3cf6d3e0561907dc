"""Evidence of a rollout, collected from the rollups."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from mlops_dagster.predictions import (
    ArmEvents,
    BothScored,
    Cohort,
    EventCounts,
    Pair,
    PairedCounts,
    Role,
    Rollups,
    arm_cohorts,
)
from mlops_dagster.rollout.claims.cohorts import complete_until
from mlops_dagster.rollout.entities import Rollout
from mlops_dagster.rollout.evidence import RECENT, ByClass, EventsSince, Evidence, Labels, LabelsSince, StepCounts

_MINUTE = timedelta(minutes=1)


def collect(rollups: Rollups, rollout: Rollout, now: datetime, *, until: datetime | None = None) -> Evidence:
    """Return all evidence of a rollout from its start up to `now`, or `until` if even the clock is not relied on.

    A row belongs to the step whose canary weight was in force when it was routed, whatever step the rollout is in by
    now. After the promotion challenger and champion have exchanged their roles; here they keep their names. Other
    versions, versions that a request named, and rejected requests are not evidence.
    """
    until = now if until is None else until
    began = _minute(rollout.started_at)
    late = [began + minute * _MINUTE for minute in _late_starts(rollout, now)]
    events = rollups.events_since(rollout.model, [began, *late], until)
    (recent,) = rollups.events_since(rollout.model, [max(began, _minute(now - RECENT))], until)
    both = _both_scored(rollups, rollout, [began, *late], until)
    return Evidence(
        through=now,
        since=tuple(
            EventsSince(
                minute=(start - began) // _MINUTE,
                steps=_steps(rollout, arms),
                both=scored,
                challenger=_scored(rollout, arms, challenger=True),
                incumbent=_scored(rollout, arms, challenger=False),
            )
            for start, arms, scored in zip([began, *late], events, both, strict=True)
        ),
        shadow=_counts(events[0], rollout.challenger, "shadow", "paired"),
        champion_beside=_counts(events[0], rollout.champion, "shadow", "paired"),
        watch=_counts(events[0], rollout.final, "champion"),
        recent=_scored(rollout, recent, challenger=True),
        labels=_labels(rollups, rollout, now, until),
    )


def _labels(rollups: Rollups, rollout: Rollout, now: datetime, until: datetime) -> Labels:
    policy, began = rollout.policy, _minute(rollout.started_at)
    before = None if policy.label_hours is None else now - policy.label_delay
    cohorts = _cohorts(rollups, rollout, began, until)
    some = policy.labels in ("sampled", "complaints")
    complete = (before or until) if some else complete_until(cohorts, policy.min_label_share, before)
    complete = None if complete is None else min(complete, until)
    known = [cohort for arm in cohorts for cohort in arm.values()]
    units, labelled = sum(cohort.units for cohort in known), sum(cohort.labelled for cohort in known)
    if complete is None or complete <= began:
        return Labels(units, labelled)
    late = [began + minute * _MINUTE for minute in _late_starts(rollout, min(complete - _MINUTE, now))]
    starts, step_at = [began, *late], max(_minute(rollout.step_at), began)
    outcomes = _outcomes(rollups, rollout, starts, complete)
    # Pairs suffice where they are used, and the arms are many rows to add up.
    arms = [[]] * len(starts) if policy.uses_pairs else rollups.events_since(rollout.model, starts, complete)
    rows, at_step = (
        min(_scored(rollout, events, challenger=each).labelled for each in (True, False))
        for events in rollups.events_since(rollout.model, [began, step_at], complete, only=("rows", "labelled"))
    )
    promoted_at = rollout.promoted_at
    return Labels(
        units=units,
        labelled=labelled,
        complete_until=complete,
        since=tuple(
            LabelsSince((start - began) // _MINUTE, by_class, _steps(rollout, events))
            for start, by_class, events in zip(starts, outcomes, arms, strict=True)
        ),
        rows=rows,
        step=at_step,
        watch=None if promoted_at is None else _watched(rollups, rollout, [_minute(promoted_at)], complete)[0],
        days=tuple(_trial(rollout).outcomes_by_day(rollups, began, complete)),
    )


def _late_starts(rollout: Rollout, now: datetime) -> list[int]:
    """Return the minutes, from 1 on, that are 0, 1, 2, 4, 8... minutes before `now`.

    In any stretch that ends now, one of these minutes begins and covers at least half of it.
    """
    age = (_minute(now) - _minute(rollout.started_at)) // _MINUTE
    return sorted(age - back for back in (0, *(2**n for n in range(max(age, 0).bit_length()))) if age > back)


def _trial(rollout: Rollout) -> Pair:
    return Pair(rollout.model, rollout.champion, rollout.challenger)


def _watch(rollout: Rollout) -> Pair:
    """Return the pair compared in the bake: the new champion, and the old one that shadows it."""
    return Pair(rollout.model, rollout.final, rollout.champion)


def _both_scored(rollups: Rollups, rollout: Rollout, starts: Sequence[datetime], until: datetime) -> list[BothScored]:
    trial = _trial(rollout).both_scored(rollups, starts, until)
    if rollout.promoted_at is None:
        return trial
    watch = _watch(rollout).both_scored(rollups, starts, until)
    return [before + after.swapped for before, after in zip(trial, watch, strict=True)]


def _outcomes(rollups: Rollups, rollout: Rollout, starts: Sequence[datetime], until: datetime) -> list[ByClass]:
    trial = _trial(rollout).outcomes(rollups, starts, until)
    if rollout.promoted_at is None:
        return trial
    watch = _watched(rollups, rollout, starts, until)
    return [_added(before, after) for before, after in zip(trial, watch, strict=True)]


def _watched(rollups: Rollups, rollout: Rollout, starts: Sequence[datetime], until: datetime) -> list[ByClass]:
    found = _watch(rollout).outcomes(rollups, starts, until)
    return [{label: counts.swapped for label, counts in by_class.items()} for by_class in found]


def _added(one: ByClass, other: ByClass) -> ByClass:
    nothing = PairedCounts()
    return {label: one.get(label, nothing) + other.get(label, nothing) for label in sorted({*one, *other})}


def _cohorts(rollups: Rollups, rollout: Rollout, since: datetime, until: datetime) -> list[dict[datetime, Cohort]]:
    """Return the cohorts of the pairs before the promotion and after it; without pairs, of the answers of each arm."""
    if rollout.policy.uses_pairs:
        pairs: Counter[datetime] = Counter()
        labels: Counter[datetime] = Counter()
        for pair in (_trial(rollout), *([] if rollout.promoted_at is None else [_watch(rollout)])):
            for begin, cohort in pair.cohorts(rollups, since, until).items():
                pairs[begin] += cohort.units
                labels[begin] += cohort.labelled
        return [{begin: Cohort(units, labels[begin]) for begin, units in pairs.items()}]
    versions = (rollout.champion, rollout.challenger)
    return [arm_cohorts(rollups, rollout.model, version, since, until) for version in versions]


def _minute(at: datetime) -> datetime:
    """Return the minute that `at` falls into, as the rollups count."""
    return at.astimezone(UTC).replace(second=0, microsecond=0)


@dataclass
class _Arms:
    canary: EventCounts = field(default_factory=EventCounts)
    champion: EventCounts = field(default_factory=EventCounts)


def _steps(rollout: Rollout, events: Iterable[ArmEvents]) -> tuple[StepCounts, ...]:
    """Return the counts of both arms by the canary's share of the traffic."""
    arms: defaultdict[float, _Arms] = defaultdict(_Arms)
    for each in events:
        match (each.role, each.version):
            case ("canary", rollout.challenger):
                arms[_share(each.weight)].canary += each.counts
            case ("champion", rollout.champion):
                arms[_share(1 - each.weight)].champion += each.counts
    return tuple(StepCounts(share, arms[share].canary, arms[share].champion) for share in sorted(arms) if 0 < share < 1)


def _share(weight: float) -> float:
    """Return the weight without the rounding error of 1 - (1 - weight), so that both arms meet in one step."""
    return round(weight, 9)


def _scored(rollout: Rollout, events: Iterable[ArmEvents], *, challenger: bool) -> EventCounts:
    """Add up the events of one of the two versions while both scored: a champion alone has nothing to compare with."""
    events = list(events)
    if challenger:
        return _counts(events, rollout.challenger, "canary", "shadow", "paired") + _counts(
            events, rollout.final, "champion"
        )
    return _counts(events, rollout.champion, "champion", "shadow", "paired")


def _counts(events: Iterable[ArmEvents], version: str, *roles: Role) -> EventCounts:
    """Add up the events of a version in these roles, at any weight."""
    return sum((each.counts for each in events if each.version == version and each.role in roles), EventCounts())
