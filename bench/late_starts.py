"""How soon a fault is found that begins at once, or in the middle of a rollout; and how soon the rule before found it.

The rule before took out a challenger that was over the error limit, whatever its champion did on the same requests.
"""

from collections.abc import Callable
from typing import Final, NamedTuple

import numpy as np
from scipy.special import ndtr

from bench import e_values
from bench.drawing import Drawn, World
from bench.e_values import Bools, Floats, Ints, mixed, running, since_start_or_later
from bench.histories import HOURS, MEDIAN_MS, RAMP, SLOW_MS, SPREAD
from bench.label_worlds import PAIRS, cells
from bench.looks import Arm, Minutes, rollback_e
from bench.states import roll_out
from mlops_dagster.rollout import Outcome, RolloutPolicy
from mlops_dagster.rollout.claims.events import CHOSEN

HOUR: Final = 40
PROOF: Final = 5 / PAIRS.alpha
"""Of one test, where five share the alpha; the others' e-values are taken as 0."""
_REQUESTS: Final = 600
"""Of the fault, at a rate of a half; at others as many as bring the same failures. Nearly all is proven by then."""


class Fault(NamedTuple):
    """The challenger fails on `rate` of its requests, beside what both versions fail on by themselves."""

    rate: float
    per_second: float
    hour: int
    """Of the rollout; it begins with an hour of shadow."""
    base: float


class Found(NamedTuple):
    """Seconds of the fault until it was proven."""

    before: float
    now: float


def errors_found(fault: Fault, rng: np.random.Generator) -> Found:
    """Score every request with both versions, and look after each."""
    past, many = 60 * fault.hour, int(_REQUESTS / 2 / min(fault.rate, 0.5))
    minutes = rng.poisson(60 * fault.per_second, past)
    apart = fault.base * (1 - fault.base)
    usual = np.stack([minutes, *(rng.binomial(minutes, apart) for _ in range(2)), rng.binomial(minutes, fault.base**2)])
    seconds = np.cumsum(rng.exponential(1 / fault.per_second, many))
    bad = rng.random(many) < 1 - (1 - fault.rate) * (1 - fault.base)
    also = rng.random(many) < fault.base
    scored = np.hstack([usual, [np.ones(many, dtype=int), bad & ~also, also & ~bad, bad & also]])
    n, alone, _, both = scored
    minute_of = np.append(np.arange(past), past + (seconds // 60).astype(np.int64))
    looks = past + np.flatnonzero(bad)
    now, end = minute_of[looks], looks + 1

    def first(minute: Ints) -> Ints:
        return np.searchsorted(minute_of, minute)

    def over_since(failed: Ints) -> Callable[[Ints], Floats]:
        sums = running(e_values.of_rate(failed, n, PAIRS.max_error_rate))
        return lambda start: mixed(sums[:, end] - sums[:, first(start)])

    before = since_start_or_later(over_since(alone + both), now)
    over_limit, start = e_values.mixture_and_loudest(over_since(alone), now)
    not_as_good = e_values.Failures.of(scored).since(first(start), end) * np.where(start == 0, 5, CHOSEN)
    e = np.minimum(over_limit, not_as_good)
    return Found(*(_first(seconds[looks - past], each >= PROOF) for each in (before, e)))


def slow_found(per_second: float, times: float, rng: np.random.Generator) -> float:
    """Return the hours until answers that take so many times as long are proven slower, from hour 40 on."""
    total = sum(HOURS) * 60
    weight = np.repeat((0.0, *RAMP, 1.0), np.array(HOURS) * 60)
    requests = rng.poisson(60 * per_second, total)
    ramp = (weight > 0) & (weight < 1)
    canary = rng.binomial(requests, np.where(ramp, weight, 0))
    slower = np.where(np.arange(total) >= 60 * HOUR, times, 1.0)
    slow, usual = (ndtr(-np.log(SLOW_MS / (MEDIAN_MS * by)) / SPREAD) for by in (slower, 1.0))
    none = np.zeros(total, dtype=np.int64)

    def arm(its: Ints, rate: Floats | float) -> Arm:
        return Arm(its, none, rng.binomial(its, rate), its, none)

    pairs = np.stack([none, none, requests])
    seen = Minutes(
        weight, arm(canary, slow), arm((requests - canary) * ramp, usual), np.stack([requests, none, none, none]), pairs
    )
    now = np.arange(60 * HOUR, total)
    return _first((now + 1) / 60 - HOUR, rollback_e(PAIRS, seen, now) >= 1 / PAIRS.alpha)


class _Late:
    """Points of accuracy that are lost from an hour on; labels come an hour late."""

    def __init__(self, per_cohort: float, loses: float, cohort: int) -> None:
        self._per_cohort, self._cohort = per_cohort, cohort
        self._usual, self._worse = cells(0), cells(loses, disagree=0.16)

    def __call__(self, rng: np.random.Generator, runs: int, cohort: int) -> Drawn:
        of = self._worse if cohort >= self._cohort else self._usual
        return Drawn(rng.multinomial(rng.poisson(self._per_cohort, (runs, 1)), of), np.ones((runs, 1)))


def accuracy_found(per_second: float, hour: int, runs: int, rng: np.random.Generator, checked: int = 0) -> Floats:
    """Return the hours until a loss of 10 points is proven, looked at every ten minutes."""
    policy = RolloutPolicy.model_validate(
        PAIRS.model_dump() | {"deadline_hours": hour + 12, "min_canary_hours": 0, "soak_hours": hour / 4}
    )
    world = World(_Late(per_second * 600, 0.1, hour * 6), policy, minutes=10)
    states, _ = roll_out(world, runs, rng, checked)
    found = states.first[Outcome.ROLLBACK] / 6 - hour
    return np.where((found >= 0) & (found < 1000), found, np.where(found < 0, np.nan, np.inf))


def _first(times: Floats, proven: Bools) -> float:
    return float(times[proven.argmax()]) if proven.any() else np.inf
