"""A history of requests as counts by the minute, and the e-value for a rollback at each of many looks at it."""

from typing import NamedTuple

import numpy as np

from bench import e_values
from bench.e_values import Bools, Floats, Ints, mixed, running, since_start_or_later
from bench.histories import History
from mlops_dagster.rollout import RolloutPolicy
from mlops_dagster.rollout.claims.events import CHOSEN


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

    def relative(canary: Ints, champion: Ints, max_ratio: float) -> Floats:
        return e_values.of_relative(canary, champion, share, max_ratio)

    zero = np.zeros_like(now)
    canary, champion, max_ratio = seen.canary, seen.champion, policy.max_ratio
    cold = np.where(np.isclose(seen.weight, policy.steps[0]), canary.bad_slow, 0)
    forgiven = np.diff(np.minimum(running(cold), policy.cold_start)).astype(np.int64)
    pairs = e_values.of_difference(*seen.pairs, policy.margin)
    worse = [
        begun(relative(canary.bad_errors, champion.bad_errors, max_ratio.error), zero),
        late(relative(canary.bad_slow - forgiven, champion.bad_slow, max_ratio.slow)),
        late(pairs) if policy.uses_pairs else late(relative(canary.bad_wrong, champion.bad_wrong, max_ratio.wrong)),
        over_limit_e(policy, seen, now),
        *([begun(pairs * seen.in_watch, zero)] if policy.uses_pairs else []),
    ]
    return np.asarray(np.mean(worse, axis=0))


def over_limit_e(policy: RolloutPolicy, seen: Minutes, now: Ints) -> Floats:
    """The e-value that the challenger is over the error limit and, in the loudest stretch, not as good."""
    end, canary, champion, in_arms = now + 1, seen.canary, seen.champion, not policy.uses_pairs
    requests, alone, *_ = seen.both
    bad, n = alone, requests
    if in_arms:
        bad, n = alone + canary.bad_errors, n + canary.requests
    over = running(e_values.of_rate(bad, n, policy.max_error_rate))

    def over_since(start: Ints) -> Floats:
        return mixed(over[:, end] - over[:, start])

    over_limit, start = e_values.mixture_and_loudest(over_since, now)
    share = np.where((seen.weight > 0) & (seen.weight < 1), seen.weight, 0.5)
    arms = [(canary.bad_errors, champion.bad_errors, share)] if in_arms else []
    not_as_good = e_values.Failures.of(seen.both, *arms).since(start, end)
    if in_arms:
        own, others = running(n), running(requests + champion.requests)
        not_as_good = np.where((own[end] > own[start]) & (others[end] == others[start]), np.inf, not_as_good)
    not_as_good = not_as_good * np.where(start == 0, 4 if in_arms else 5, CHOSEN)
    return np.minimum(over_limit, not_as_good)


def champion_e(policy: RolloutPolicy, seen: Minutes, now: Ints) -> Floats:
    """The e-value that the champion breaks its error limit, of which an alert comes; where pairs are used."""
    requests, _, alone, both = seen.both
    sums = running(e_values.of_rate(alone + both, requests, policy.max_error_rate))
    return since_start_or_later(lambda start: mixed(sums[:, now + 1] - sums[:, start]), now)
