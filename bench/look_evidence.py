"""A look as `decide` takes it, beside the closed forms of `looks.py`."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Final

import numpy as np

from bench import e_values
from bench.e_values import Bools, Floats, Ints
from bench.looks import Arm, Minutes
from mlops_dagster.predictions import BothScored, EventCounts, PairedCounts
from mlops_dagster.rollout import (
    Decision,
    EventsSince,
    Evidence,
    Labels,
    LabelsSince,
    Outcome,
    Phase,
    Rollout,
    RolloutPolicy,
    StepCounts,
    decide,
)

MIDNIGHT: Final = datetime(2013, 3, 1, tzinfo=UTC)


def evidence(seen: Minutes, now: int) -> Evidence:
    """The same, as `decide` is given it at the end of minute `now`."""
    starts = [0, *(now - back for back in e_values.BACK if now > back)]

    def steps(start: int) -> tuple[StepCounts, ...]:
        weights = seen.weight[start : now + 1]
        return tuple(
            StepCounts(float(weight), *(_counts(arm, start, now, weights == weight) for arm in seen[1:3]))
            for weight in np.unique(weights)
            if 0 < weight < 1
        )

    def pairs(start: int, its: Bools) -> dict[str, PairedCounts]:
        window = slice(start, now + 1)
        return {"": PairedCounts(*(int((row[window] * its[window]).sum()) for row in seen.pairs))}

    def both(start: int) -> BothScored:
        return BothScored(*(int(row[start : now + 1].sum()) for row in seen.both))

    everything, scored = np.ones_like(seen.in_watch), both(0).requests
    return Evidence(
        through=MIDNIGHT + timedelta(minutes=now, seconds=59),
        since=tuple(_events_since(start, steps(start), both(start)) for start in starts),
        shadow=EventCounts(requests=scored),
        recent=EventCounts(requests=1),  # its traffic never stops
        watch=EventCounts(requests=int(seen.both[0, : now + 1][seen.in_watch[: now + 1]].sum())),
        labels=Labels(
            units=scored,
            labelled=scored,
            complete_until=MIDNIGHT + timedelta(minutes=now + 1),
            since=tuple(LabelsSince(start, pairs(start, everything), steps(start)) for start in starts),
            step=int(seen.pairs[:, : now + 1][:, seen.weight[: now + 1] == seen.weight[now]].sum()),
            watch=pairs(0, seen.in_watch) if seen.in_watch[now] else None,
        ),
    )


def _events_since(start: int, steps: tuple[StepCounts, ...], both: BothScored) -> EventsSince:
    seen = EventsSince(start, steps, both)
    challenger, champion = (
        EventCounts(requests=both.requests, bad_errors=failed + both.both_failed)
        for failed in (both.challenger_failed, both.champion_failed)
    )
    if both.requests < seen.canary.requests + seen.champion.requests:  # two arms, each by itself
        challenger, champion = challenger + seen.canary, champion + seen.champion
    return replace(seen, challenger=challenger, incumbent=champion)


def _counts(arm: Arm, start: int, now: int, its: Bools) -> EventCounts:
    requests, errors, slow, units, wrong = (int(each[start : now + 1][its].sum()) for each in arm)
    return EventCounts(
        requests=requests,
        errors=errors,
        slow=slow,
        bad_errors=errors,
        bad_slow=slow,
        units=units,
        unit_labels=units,
        bad_wrong=wrong,
    )


def check_with_decide(
    policy: RolloutPolicy, seen: Minutes, now: Ints, e: Floats, rng: np.random.Generator, count: int = 12
) -> int:
    """`decide` at some of the looks comes to the same, or AssertionError; returns how many.

    The highest one is among them. Each look is the only one so far: peaks are the caller's running maximum.
    """
    chosen = {*rng.integers(len(now), size=count).tolist(), int(e.argmax())}
    for look in chosen:
        minute, decision = int(now[look]), decision_at(policy, seen, int(now[look]))
        found = decision.test("rollback.worse").e_value
        assert np.isclose(found, e[look], rtol=1e-9), f"E {e[look]} in minute {minute}, by decide {found}"
        assert (decision.outcome is Outcome.ROLLBACK) == (e[look] >= 1 / policy.alpha), decision.reason
    return len(chosen)


def decision_at(policy: RolloutPolicy, seen: Minutes, minute: int) -> Decision:
    """Decide at the end of that minute, as if nobody had looked before."""
    weight, given = float(seen.weight[minute]), evidence(seen, minute)
    phase = Phase.SHADOW if weight == 0 else Phase.WATCH if weight == 1 else Phase.CANARY
    step = sum(each <= weight for each in policy.steps)
    began = (MIDNIGHT, MIDNIGHT, MIDNIGHT)
    rollout = Rollout(1, "m", "1.0.0", "1.0.1", policy, phase, step, weight, *began, False, {}, epoch=1)
    return decide(policy, rollout, given, given.through)
