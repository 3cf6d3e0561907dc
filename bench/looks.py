"""A history of requests as counts by the minute, and the e-value for a rollback at each of many looks at it."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Final, NamedTuple

import numpy as np

from bench import e_values
from bench.e_values import Bools, Floats, Ints, mixed, running, since_start_or_later
from bench.histories import History
from mlops_dagster.predictions import BothScored, EventCounts, PairedCounts
from mlops_dagster.rollout import (
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


class Arm(NamedTuple):
    """By the minute, what an arm answered in the ramp; bad events are independent ones."""

    requests: Ints
    bad_errors: Ints
    bad_slow: Ints
    units: Ints
    bad_wrong: Ints


class Minutes(NamedTuple):
    """By the minute."""

    weight: Floats
    canary: Arm
    champion: Arm
    both: Ints
    """Four rows: requests that both scored, those on which the challenger alone, the champion alone, both failed."""
    pairs: Ints
    """Wins, losses and ties."""

    @property
    def in_watch(self) -> Bools:
        return self.weight == 1


def by_minute(history: History, *, pairs: bool) -> Minutes:
    """Count a history as the rollups do; without `pairs` both versions score only in the shadow and in the watch."""
    size = int(history.minute[-1]) + 1

    def count(which: Bools) -> Ints:
        return np.bincount(history.minute[which], minlength=size)

    ramp, firsts = history.ramp, history.firsts
    answered = history.first_answered

    def arm(its: Bools) -> Arm:
        wrong = answered & history.bad["wrong"]
        return Arm(*(count(its & each) for each in (ramp, firsts["error"], firsts["slow"], answered, wrong)))

    scored = np.full_like(ramp, fill_value=True) if pairs else ~ramp
    both = [scored, *(each & scored for each in history.first_failures)]
    weight = np.zeros(size)
    weight[history.minute] = history.weight
    return Minutes(
        weight=weight,
        canary=arm(history.canary),
        champion=arm(ramp & ~history.canary),
        both=np.array([count(each) for each in both]),
        pairs=np.array([count(each & scored) for each in history.first_outcomes]),
    )


def rollback_e(policy: RolloutPolicy, seen: Minutes, now: Ints) -> Floats:
    """The e-value for a rollback at the end of each of the minutes `now`, one look after the other."""
    end = now + 1
    ramp = (seen.weight > 0) & (seen.weight < 1)
    share = np.where(ramp, seen.weight, 0.5)

    def begun(gained: Floats, start: Ints) -> Floats:
        sums = running(gained)
        return mixed(sums[:, end] - sums[:, start])

    def late(gained: Floats) -> Floats:
        sums = running(gained)
        return since_start_or_later(lambda start: mixed(sums[:, end] - sums[:, start]), now)

    def relative(canary: Ints, champion: Ints, theta: float) -> Floats:
        return e_values.of_relative(canary, champion, share, theta)

    zero = np.zeros_like(now)
    canary, champion, theta = seen.canary, seen.champion, policy.theta
    cold = np.where(np.isclose(seen.weight, policy.steps[0]), canary.bad_slow, 0)
    forgiven = np.diff(np.minimum(running(cold), policy.cold_start)).astype(np.int64)
    requests, alone, champion_alone, _ = seen.both
    bad, n, in_arms = alone, requests, not policy.uses_pairs
    if in_arms:
        bad, n = alone + canary.bad_errors, n + canary.requests
    over = running(e_values.of_rate(bad, n, policy.max_error_rate))

    def over_since(start: Ints) -> Floats:
        return mixed(over[:, end] - over[:, start])

    start = e_values.loudest(over_since, now)
    arms = [(canary.bad_errors, champion.bad_errors, share)] if in_arms else []
    not_as_good = e_values.Failures.of(requests, alone, champion_alone, *arms).since(start, end)
    if in_arms:
        own, others = running(n), running(requests + champion.requests)
        not_as_good = np.where((own[end] > own[start]) & (others[end] == others[start]), np.inf, not_as_good)
    not_as_good = not_as_good * np.where(start == 0, 4 if in_arms else 5, 1)
    pairs = e_values.of_difference(*seen.pairs, policy.margin)
    worse = [
        begun(relative(canary.bad_errors, champion.bad_errors, theta.error), zero),
        late(relative(canary.bad_slow - forgiven, champion.bad_slow, theta.slow)),
        late(pairs) if policy.uses_pairs else late(relative(canary.bad_wrong, champion.bad_wrong, theta.wrong)),
        np.minimum(since_start_or_later(over_since, now), not_as_good),
        *([begun(pairs * seen.in_watch, zero)] if policy.uses_pairs else []),
    ]
    return np.asarray(np.mean(worse, axis=0))


def champion_e(policy: RolloutPolicy, seen: Minutes, now: Ints) -> Floats:
    """The e-value that the champion breaks its error limit, of which an alert comes; where pairs are used."""
    requests, _, alone, both = seen.both
    sums = running(e_values.of_rate(alone + both, requests, policy.max_error_rate))
    return since_start_or_later(lambda start: mixed(sums[:, now + 1] - sums[:, start]), now)


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
        minute = int(now[look])
        weight, given = float(seen.weight[minute]), evidence(seen, minute)
        phase = Phase.SHADOW if weight == 0 else Phase.WATCH if weight == 1 else Phase.CANARY
        step = sum(each <= weight for each in policy.steps)
        began = (MIDNIGHT, MIDNIGHT, MIDNIGHT)
        rollout = Rollout(1, "m", "1.0.0", "1.0.1", policy, phase, step, weight, *began, False, {}, epoch=1)
        decision = decide(policy, rollout, given, given.through)
        found = decision.test("rollback.worse").e_value
        assert np.isclose(found, e[look], rtol=1e-9), f"E {e[look]} in minute {minute}, by decide {found}"
        assert (decision.outcome is Outcome.ROLLBACK) == (e[look] >= 1 / policy.alpha), decision.reason
    return len(chosen)
