"""The error limit when a challenger goes bad late: a good past hides nothing, and one at the limit is left alone."""

from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest

from mlops_dagster.rollout import EventCounts, Evidence, PairedCounts, RecentCounts, RolloutPolicy, collect
from mlops_dagster.rollout.evaluation import evaluate
from mlops_dagster.statistics import rate_e_value

World = Any  # conftest's; test modules cannot import it in importlib mode

POLICY = RolloutPolicy()
START = datetime(2026, 3, 1, tzinfo=UTC)


def seen(requests: list[int], errors: list[int]) -> Evidence:
    """By minute; all of it scored in shadow, nothing has a label."""
    now = len(requests) - 1
    late = [now - back for back in (0, *(2**n for n in range(now.bit_length()))) if now > back]
    recent = tuple(RecentCounts(since, sum(requests[since:]), sum(errors[since:])) for since in late)
    shadow = EventCounts(sum(requests), sum(errors), bad_errors=sum(errors))
    return Evidence((), PairedCounts(), shadow, PairedCounts(), START, recent=recent)


@pytest.mark.parametrize(
    ("good_hours", "per_second", "at_most"), [(4, 50, 80), (4, 10, 150), (100, 50, 80), (0, 50, 15)]
)
def test_what_fails_late_is_proven_soon(good_hours: int, per_second: int, at_most: int) -> None:
    """5 % of the requests, from the middle of a minute on; a look each second."""
    rng = np.random.default_rng(3)
    seconds = []
    for _ in range(10):
        requests, errors = [60 * per_second] * (60 * good_hours), [0] * (60 * good_hours)
        for second in range(1000):
            if second in (0,) or (second + 30) % 60 == 0:
                requests, errors = [*requests, 30 * per_second if second == 0 and good_hours else 0], [*errors, 0]
            requests[-1] += per_second
            errors[-1] += int(rng.binomial(per_second, 0.05))
            if evaluate(POLICY, {}, seen(requests, errors)).rollback.proven:
                seconds.append(second + 1)
                break
    assert (len(seconds), max(seconds) <= at_most) == (10, True)


def test_one_exactly_at_the_limit_reaches_the_limit_of_its_test_in_at_most_alpha_of_all_rollouts() -> None:
    """As if the test had the alpha for itself; a look every 20 seconds through a cycle of two hours."""
    rng, rollouts, minutes = np.random.default_rng(4), 60, 120
    reached = 0
    for _ in range(rollouts):
        traffic = 1 + 0.8 * np.sin(np.arange(minutes * 60) / 7200 * 2 * np.pi)
        requests = rng.poisson(20 * traffic)
        errors = rng.binomial(requests, POLICY.max_error_rate)
        n, bad = (np.append(0, np.cumsum(each)) for each in (requests, errors))
        reached += any(
            evaluate(POLICY, {}, counted(n, bad, second)).worse[3].e_value >= 1 / POLICY.alpha
            for second in range(7, minutes * 60, 20)
        )
    assert reached <= POLICY.alpha * rollouts


def counted(n: Any, bad: Any, second: int) -> Evidence:
    now = second // 60
    late = [now - back for back in (0, *(2**i for i in range(now.bit_length()))) if now > back]
    of = {since: (int(n[second + 1] - n[60 * since]), int(bad[second + 1] - bad[60 * since])) for since in [0, *late]}
    whole = EventCounts(of[0][0], of[0][1], bad_errors=of[0][1])
    recent = tuple(RecentCounts(since, *of[since]) for since in late)
    return Evidence((), PairedCounts(), whole, PairedCounts(), START, recent=recent)


def test_the_weights_are_those_of_the_mixture() -> None:
    """By hand: half on the start, and a quarter of a week on minute 1."""
    one = seen([0, 400], [0, 40])
    (late,) = one.recent
    expected = rate_e_value(40, 400, limit=0.01) * (1 / 2 + 1 / 4 / 10_080)
    assert (late.minute, evaluate(POLICY, {}, one).worse[3].e_value) == (1, pytest.approx(expected))


def test_the_last_minutes_are_counted_apart(world: World) -> None:
    world.register("1.1.0")
    world.reach(1)
    world.serve(ties=90, errors=10, hours=10 / 60)
    world.serve(ties=7, champion_errors=3, hours=3 / 60)
    found = collect(world.rollups, world.rollout, world.clock.now())
    now = (world.clock.now() - world.rollout.started_at) // timedelta(minutes=1)
    back = {now - each.minute: (each.requests, each.bad_errors) for each in found.recent}
    assert list(back) == sorted(back, reverse=True)
    assert [back[minutes] for minutes in (0, 1, 2, 4, 8, 16)] == [(0, 0)] * 3 + [(10, 0)] * 2 + [(110, 10)]
    whole = collect(world.rollups, world.rollout, world.clock.now() - timedelta(hours=1), until=world.clock.now())
    assert whole.challenger == found.challenger, "a clock that was set back hides nothing"
    assert whole.recent[-1].requests == 110
