"""Small and quick what bench/at_any_time.py shows at length (docs/at-any-time.md): harmless canaries under all that
makes life hard for a test, and a challenger that is good at one time of day.
"""

from datetime import timedelta

import numpy as np
import pytest

from bench.e_values import Floats, Ints
from bench.histories import COLD_ANSWERS, MIDNIGHT, Challenger, History, World, simulate
from bench.looks import Minutes, by_minute, check_with_decide, rollback_e
from bench.rollout_power import Traffic, good_at_dawn, roll_out
from mlops_dagster.rollout import Outcome, RolloutPolicy

PAIRS = RolloutPolicy(soak_hours=12, rows_per_observation=1)
ARMS = PAIRS.model_copy(update={"paired": False})
HARD = World(daily=True, sticky=True, cold=True)
AS_BAD_AS_ALLOWED = Challenger(errors=PAIRS.theta.error, slow=PAIRS.theta.slow, loses=PAIRS.margin)
ROLLOUTS = 60


def looked_at(policy: RolloutPolicy, history: History) -> tuple[Minutes, Ints, Floats]:
    """Every ten minutes."""
    seen = by_minute(history, pairs=policy.uses_pairs)
    now = np.arange(9, len(seen.weight), 10)
    return seen, now, rollback_e(policy, seen, now)


@pytest.mark.parametrize("challenger", [Challenger(), AS_BAD_AS_ALLOWED], ids=["as good", "as bad as allowed"])
def test_harmless_canaries_are_rolled_back_in_at_most_alpha_of_all_rollouts(challenger: Challenger) -> None:
    """All metrics at once, all the time, through ramp and watch; `decide` agrees at a sample of the looks."""
    rng = np.random.default_rng(12)
    rolled_back, alarms_of_z = {PAIRS: 0, ARMS: 0}, 0
    for number in range(ROLLOUTS):
        history = simulate(HARD, challenger, rng)
        for policy in (PAIRS, ARMS):
            seen, now, e = looked_at(policy, history)
            rolled_back[policy] += bool((e >= 1 / policy.alpha).any())
            if number < 3:
                check_with_decide(policy, seen, now, e, rng, count=8)
        alarms_of_z += z_of_errors(history) > 1.96
    assert max(rolled_back.values()) <= PAIRS.alpha * ROLLOUTS
    assert alarms_of_z >= 0.4 * ROLLOUTS  # the world does punish a test that is looked at too often


def z_of_errors(history: History) -> float:
    """The highest z of the canary's share of all errors so far, at each error: the test that is not to be used."""
    errors = history.bad["error"]
    share, is_canary = history.weight[errors], history.canary[errors]
    z = np.cumsum(is_canary - share) / np.sqrt(np.cumsum(share * (1 - share)))
    return float(z[30:].max())


def test_without_the_allowance_for_a_cold_start_it_would_be_the_end() -> None:
    history = simulate(World(cold=True), Challenger(), np.random.default_rng(13))
    assert history.bad["slow"][np.flatnonzero(history.canary)[:COLD_ANSWERS]].all()
    for policy, survives in ((PAIRS, True), (PAIRS.model_copy(update={"cold_start": 0}), False)):
        seen, now, e = looked_at(policy, history)
        check_with_decide(policy, seen, now, e, np.random.default_rng(14), count=3)
        assert (e.max() < 1 / policy.alpha) == survives


@pytest.mark.parametrize(
    "policy",
    [RolloutPolicy(), RolloutPolicy(soak_hours=1), RolloutPolicy(soak_hours=1, min_watch_hours=0)],
    ids=["the defaults", "short steps", "no least watch"],
)
def test_one_that_is_3_points_worse_is_not_promoted_for_its_good_time_of_day(policy: RolloutPolicy) -> None:
    rng = np.random.default_rng(15)
    starts = [MIDNIGHT + timedelta(hours=hour) for hour in range(24)]
    outcomes = [roll_out(policy, Traffic(good_at_dawn, rng, per_hour=1000), start).outcome for start in starts]
    assert Outcome.PROMOTE not in outcomes
    always_good = roll_out(policy, Traffic(lambda _: good_at_dawn(MIDNIGHT + timedelta(hours=6)), rng, 1000), MIDNIGHT)
    assert always_good.outcome is Outcome.PROMOTE
