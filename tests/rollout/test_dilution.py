"""What a challenger does badly only lately: a good past hides nothing, and one at the limit is left alone."""

from datetime import timedelta
from typing import Any

import numpy as np
import pytest

from mlops_dagster.predictions import BothScored, PairedCounts
from mlops_dagster.rollout import EventsSince, Evidence, Labels, LabelsSince, StepCounts, collect, evaluation
from mlops_dagster.rollout.claims.events import EventTests
from mlops_dagster.rollout.look import Look
from mlops_dagster.statistics import bad_event_e_value, difference_e_value, rate_e_value
from tests.support.rollout_evidence import CLASS, INDEPENDENT, START, a_rollout, arm, labels_of, late_starts

pytestmark = pytest.mark.slow

World = Any  # conftest's; test modules cannot import it in importlib mode

POLICY = INDEPENDENT
SHADOW = a_rollout(0)


def judged(seen: Evidence) -> evaluation.Tests:
    return evaluation.evaluate(POLICY, SHADOW, seen)


def seen(requests: list[int], errors: list[int]) -> Evidence:
    """By minute; both score all of it, the challenger alone fails, nothing has a label."""
    starts = [0, *late_starts(len(requests) - 1)]
    since = (EventsSince(at, (), BothScored(sum(requests[at:]), sum(errors[at:]))) for at in starts)
    return Evidence(START, tuple(since))


@pytest.mark.parametrize(
    ("good_hours", "per_second", "at_most"), [(4, 50, 96), (4, 10, 180), (100, 50, 96), (0, 50, 18)]
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
            if judged(seen(requests, errors)).rollback.proven:
                seconds.append(second + 1)
                break
    assert (len(seconds), max(seconds) <= at_most) == (10, True), seconds


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
            EventTests(Look(POLICY, SHADOW, counted(n, bad, second))).over_error_limit().e_value >= 1 / POLICY.alpha
            for second in range(7, minutes * 60, 20)
        )
    assert reached <= POLICY.alpha * rollouts


def counted(n: Any, bad: Any, second: int) -> Evidence:
    starts = [0, *late_starts(second // 60)]
    of = {since: (int(n[second + 1] - n[60 * since]), int(bad[second + 1] - bad[60 * since])) for since in starts}
    return Evidence(START, tuple(EventsSince(since, (), BothScored(*of[since])) for since in starts))


def test_the_weights_are_those_of_the_mixture() -> None:
    """By hand: half on the start, and a quarter of a week on minute 1."""
    one = seen([0, 400], [0, 40])
    expected = rate_e_value(40, 400, limit=0.01) * (1 / 2 + 1 / 4 / 10_080)
    result = judged(one).worse[3]
    assert (one.since[1].minute, result.observed["e_over_limit"]) == (1, pytest.approx(expected))
    assert result.e_value == min(result.observed["e_over_limit"], result.observed["e_not_as_good"])


def test_slow_answers_and_accuracy_bet_from_later_minutes_too() -> None:
    """By hand, of slow answers at the second step, where no cold start is forgiven, and of pairs."""
    weight = POLICY.steps[1]
    good, bad = StepCounts(weight, arm(1000), arm(20_000, slow=100)), StepCounts(weight, arm(50, slow=20), arm(1000))
    whole = StepCounts(weight, good.canary + bad.canary, good.champion + bad.champion)
    won, lost = PairedCounts(wins=300, ties=9700), PairedCounts(losses=90, ties=200)
    labels = labels_of({CLASS: won + lost})
    seen = Evidence(
        START,
        (EventsSince(0, (whole,), BothScored()), EventsSince(600, (bad,), BothScored())),
        labels=Labels(
            labels.units,
            labels.labelled,
            START,
            (LabelsSince(0, {CLASS: won + lost}), LabelsSince(500, {CLASS: lost})),
        ),
    )
    found = {test.name: test.e_value for test in judged(seen).worse}
    start, minute = 1 / 2, 1 / 4 / 10_080
    slow = [bad_event_e_value([(weight, 20, 20 + of)], max_ratio=2) for of in (100, 0)]  # type: ignore[list-item]
    assert found["slow.worse"] == pytest.approx(start * slow[0] + minute * slow[1])
    pairs = [difference_e_value([(-1, w), (1, 90), (0, t)], margin=0.02) for w, t in ((300, 9900), (0, 200))]
    assert found["paired.worse"] == pytest.approx(start * pairs[0] + minute * pairs[1])
    assert pairs[0] < 1e-3 < 1e3 < found["paired.worse"]


def test_of_cold_answers_the_first_are_forgiven_and_not_the_latest() -> None:
    """60 slow ones at the first step, 50 of them forgiven: who bets from the 41st on, bets on the last ten."""
    first = POLICY.steps[0]
    whole = StepCounts(first, arm(1000, slow=60), arm(99_000))
    lately = StepCounts(first, arm(100, slow=20), arm(9_900))
    seen = Evidence(START, (EventsSince(0, (whole,), BothScored()), EventsSince(100, (lately,), BothScored())))
    expected = bad_event_e_value([(first, 10, 10)], max_ratio=2) * (1 / 2 + 1 / 4 / 10_080)  # type: ignore[list-item]
    (slow,) = (test for test in judged(seen).worse if test.name == "slow.worse")
    assert (slow.e_value, slow.observed["canary_cold"]) == (pytest.approx(expected), 50)


def test_the_last_minutes_are_counted_apart(world: World) -> None:
    world.register("1.1.0")
    world.reach(1)
    world.serve(ties=90, errors=10, hours=10 / 60)
    world.serve(ties=7, champion_errors=3, hours=3 / 60)
    found = collect(world.rollups, world.rollout, world.clock.now())
    now = (world.clock.now() - world.rollout.started_at) // timedelta(minutes=1)
    back = {now - each.minute: each.both for each in found.since}
    assert list(back) == sorted(back, reverse=True)
    assert [back[minutes] for minutes in (0, 1, 2, 4, 8, 16)] == [
        *[BothScored()] * 3,
        *[BothScored(10, champion_failed=3)] * 2,
        BothScored(110, 10, 3),
    ]
    whole = collect(world.rollups, world.rollout, world.clock.now() - timedelta(hours=1), until=world.clock.now())
    assert whole.challenger == found.challenger, "a clock that was set back hides nothing"
    assert whole.since[-1].both.requests == 110


def test_late_starts_of_labels_end_where_labels_are_complete(world: World) -> None:
    """Counted back from the end of what is complete, not from now, where there may be none for hours."""
    world.register("1.1.0")
    world.reach(1)
    world.serve(ties=80, losses=20, hours=20 / 60)
    world.serve(ties=100, hours=6, labelled=False)
    found = collect(world.rollups, world.rollout, world.clock.now()).labels
    complete = found.complete_until
    assert complete is not None
    assert complete < world.clock.now() - timedelta(hours=6)
    end = (complete - world.rollout.started_at) // timedelta(minutes=1) - 1
    back = {end - each.minute: sum(of.total for of in each.outcomes.values()) for each in found.since}
    assert list(back)[1:] == [64, 32, 16, 8, 4, 2, 1, 0][-len(back) + 1 :]
    assert [back[minutes] for minutes in (8, 16)] == [0, 100]
    assert back[max(back)] == found.paired.total
