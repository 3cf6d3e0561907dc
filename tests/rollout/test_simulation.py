"""What the decisions are worth over a whole rollout: seeded simulations with many looks."""

import itertools
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

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
from mlops_dagster.rollout.evaluation import evaluate

pytestmark = pytest.mark.slow

POLICY = RolloutPolicy(min_step_requests=1, soak_hours=12, rows_per_observation=1)
START = datetime(2013, 3, 1, tzinfo=UTC)


RUNNING = Rollout(
    id=1,
    model="flights-delay",
    champion="1.0.0",
    challenger="1.0.1",
    policy=POLICY,
    phase=Phase.CANARY,
    step=1,
    weight=0.01,
    started_at=START,
    canary_at=START,
    step_at=START,
    paused=False,
    peaks={},
    epoch=1,
)


def harmless(rng: np.random.Generator) -> Iterator[Evidence]:
    """Five days of a challenger exactly as bad as it may be, by max_ratio, by the margin, and near the error limit, and
    two more in which it answers everything, and is watched.

    A ramp, a daily cycle of traffic and of failures, 40 requests an hour, each a pair.
    """
    policy = POLICY
    steps = [StepCounts(weight, EventCounts(), EventCounts()) for weight in policy.steps]
    both, pairs, watched = BothScored(), PairedCounts(), PairedCounts()
    for hour in range(7 * 24):
        rush = 1 + np.sin(hour / 24 * 2 * np.pi)
        step, requests = hour // 24, rng.poisson(40 * rush)
        if step < len(steps):
            canary = rng.binomial(requests, steps[step].weight)
            steps[step] = StepCounts(
                steps[step].weight,
                steps[step].canary
                + answered(rng, canary, 0.004 * rush * policy.max_ratio.error, 0.01 * rush * policy.max_ratio.slow),
                steps[step].champion + answered(rng, requests - canary, 0.004 * rush, 0.01 * rush),
            )
        failed, champion_failed = rng.binomial(requests, (0.004 * rush * policy.max_ratio.error, 0.004 * rush))
        both += BothScored(int(requests), int(failed), int(champion_failed))
        new = paired(rng, PairedCounts(), requests, lost=0.04, won=0.02)
        pairs += new
        watched += new if hour >= 5 * 24 else PairedCounts()
        yield Evidence(
            through=START + timedelta(hours=hour + 1),
            since=(EventsSince(0, tuple(steps), both),),
            recent=EventCounts(int(requests)),
            labels=labels_of(pairs, watched if hour >= 5 * 24 else None),
        )


def labels_of(pairs: PairedCounts, watched: PairedCounts | None = None) -> Labels:
    """All of them known."""
    return Labels(
        units=pairs.total,
        labelled=pairs.total,
        complete_until=START + timedelta(days=7),
        since=(LabelsSince(0, {"late": pairs}),),
        step=pairs.total,
        watch=None if watched is None else {"late": watched},
    )


def answered(rng: np.random.Generator, requests: int, error_rate: float, slow_rate: float) -> EventCounts:
    errors, slow = int(rng.binomial(requests, error_rate)), int(rng.binomial(requests, slow_rate))
    return EventCounts(int(requests), errors, slow, bad_errors=errors, bad_slow=slow)


def paired(rng: np.random.Generator, before: PairedCounts, more: int, *, lost: float, won: float) -> PairedCounts:
    wins, losses, ties = (int(count) for count in rng.multinomial(more, (won, lost, 1 - won - lost)))
    return PairedCounts(before.wins + wins, before.losses + losses, before.ties + ties)


def test_a_challenger_that_is_as_bad_as_it_may_be_is_rolled_back_at_most_in_alpha_of_all_rollouts() -> None:
    """Looked at every third hour, 56 times; in ever more ways by test_at_any_time.py, and by bench/ for hours."""
    rng = np.random.default_rng(5)
    rollouts = 60
    rolled_back = sum(
        any(evaluate(POLICY, RUNNING, seen).rollback.proven for seen in itertools.islice(harmless(rng), None, None, 3))
        for _ in range(rollouts)
    )
    assert rolled_back <= POLICY.alpha * rollouts


def test_a_feature_in_other_units_is_proven_within_about_a_hundred_labels() -> None:
    """Delay in seconds where minutes were learnt: the challenger loses a fifth of all pairs."""
    rng = np.random.default_rng(7)
    labels = [labels_to_rollback(rng, lost=0.20, won=0.02) for _ in range(30)]
    half, most = np.quantile(labels, [0.5, 0.9])
    assert (half <= 100, most <= 150) == (True, True)


def test_one_that_is_10_points_worse_after_its_promotion_is_rolled_back_within_a_day_of_flights() -> None:
    """However well it did before: 6,000 pairs in which the two were as good, and then the world changes."""
    rng = np.random.default_rng(9)
    good = PairedCounts(180, 180, 5640)
    labels = [labels_to_rollback(rng, lost=0.13, won=0.03, before=good, at_once=10) for _ in range(20)]
    half, most = np.quantile(labels, [0.5, 0.9])
    assert (half <= 400, most <= 900) == (True, True)


def labels_to_rollback(
    rng: np.random.Generator, *, lost: float, won: float, before: PairedCounts | None = None, at_once: int = 1
) -> int:
    """From the start of the rollout; where there are pairs from before, from the promotion."""
    running = RUNNING
    if before is not None:
        running = replace(running, phase=Phase.WATCH, weight=1.0, promoted_at=START)
    pairs = PairedCounts()
    while True:
        pairs = paired(rng, pairs, at_once, lost=lost, won=won)
        labels = labels_of(pairs) if before is None else labels_of(before + pairs, pairs)
        seen = Evidence(START, labels=labels)
        decision = decide(POLICY, running, seen, START + timedelta(hours=1))
        if decision.outcome is Outcome.ROLLBACK:
            return pairs.total
        assert decision.outcome is Outcome.HOLD
        running = replace(running, peaks=decision.peaks)
