"""Small and quick what bench/at_any_time.py shows at length: each of its worlds (docs/benchmarks/at-any-time.md)."""

from datetime import timedelta

import numpy as np
import pytest

from bench import equal_versions
from bench.cohort_evidence import NEVER
from bench.e_values import Floats, Ints
from bench.histories import COLD_ANSWERS, MIDNIGHT, Challenger, History, World, simulate
from bench.label_worlds import CASES, Case
from bench.labels_table import FALSE, false_ones
from bench.late_starts import HOUR, Fault, accuracy_found, errors_found, slow_found
from bench.look_evidence import check_with_decide, decision_at
from bench.looks import Minutes, by_minute, champion_e, over_limit_e, rollback_e
from bench.naive import alarms
from bench.naive_labels import peers
from bench.requests_table import WORLDS
from bench.rollout_power import Traffic, good_at_dawn
from bench.states import roll_out as roll_out_all
from mlops_dagster.rollout import Outcome, RolloutPolicy
from mlops_dagster.rollout.prospects.prospects import roll_out

pytestmark = pytest.mark.slow

PAIRS = RolloutPolicy(soak_hours=12, rows_per_observation=1)
ARMS = PAIRS.model_copy(update={"paired": False})
HARD = World(daily=True, sticky=True, cold=True)
AS_BAD_AS_ALLOWED = Challenger(errors=PAIRS.max_ratio.error, slow=PAIRS.max_ratio.slow, loses=PAIRS.margin)
ROLLOUTS = 20


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
            if number < 2:
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
    [RolloutPolicy(), RolloutPolicy(soak_hours=1), RolloutPolicy(soak_hours=1, min_canary_hours=0)],
    ids=["the defaults", "short steps", "no least watch"],
)
def test_one_that_is_3_points_worse_is_not_promoted_for_its_good_time_of_day(policy: RolloutPolicy) -> None:
    rng = np.random.default_rng(15)
    starts = [MIDNIGHT + timedelta(hours=hour) for hour in range(24)]
    worlds = [Traffic(good_at_dawn, rng, per_hour=1000) for _ in starts]
    hour = timedelta(hours=1)
    outcomes = [roll_out(policy, world.hour, start, hour).outcome for world, start in zip(worlds, starts, strict=True)]
    assert Outcome.PROMOTE not in outcomes
    good = Traffic(lambda _: good_at_dawn(MIDNIGHT + timedelta(hours=6)), rng, 1000)
    always_good = roll_out(policy, good.hour, MIDNIGHT, hour)
    assert always_good.outcome is Outcome.PROMOTE


@pytest.mark.parametrize(
    ("name", "fooled", "alert"),
    [
        ("requests of 1, 10, 50, 200 rows", "mcnemar_hourly", False),
        ("an outage of 3 minutes", "z_errors", True),
        ("20 outages of 3 minutes", "z_errors", True),
        ("champion 5 %, challenger 2 %", "z_any", True),
        ("both fail on 1.3 %", "z_errors", True),
        ("an unknown category", "z_any", True),
        ("a client repeats a loss", "mcnemar_hourly", False),
    ],
)
def test_what_both_versions_share_and_what_repeats_itself_rolls_nobody_back(
    name: str, fooled: str, alert: bool
) -> None:
    rng, others = np.random.default_rng(16), 0
    for number in range(6):
        history = simulate(*WORLDS[name], rng)
        for policy in (PAIRS, ARMS):
            seen, now, e = looked_at(policy, history)
            assert e.max() < 1 / policy.alpha
            if number == 0:
                check_with_decide(policy, seen, now, e, rng, count=4)
        seen, now, _ = looked_at(PAIRS, history)
        assert bool((champion_e(PAIRS, seen, now) >= 20).any()) == alert
        others += getattr(alarms(history), fooled)
    assert others >= 3


NOT_FALSE = {
    "independent rows": Outcome.PROMOTE,
    "arms: labels after 1 h and 6 h": Outcome.PROMOTE,
    "arms: labels after 6 h and 1 h": Outcome.PROMOTE,
    "by class, labels: all": Outcome.GIVE_UP,
    "by class, labels: late, 10 days": Outcome.ROLLBACK,
    "complaints, labels: all": Outcome.GIVE_UP,
    "evenings 2 points worse": Outcome.PROMOTE,  # the margin is 2 points
    "evenings 6 points worse": Outcome.ROLLBACK,  # each hour counts where there is much traffic
}
"""Where nearly all rollouts end alike."""
RUNS = 24


SHARED = [case for case in CASES if case.name.startswith("shared days") and case.truth == "2 points worse"]


@pytest.mark.parametrize(
    "case", [case for case in CASES if case not in SHARED], ids=lambda case: f"{case.name}, {case.truth}"
)
def test_outcomes_are_false_in_at_most_alpha_of_all_rollouts_however_labels_come(case: Case) -> None:
    """`decide` says the same at many looks of one of them."""
    rng, false = np.random.default_rng(17), FALSE[case.truth]
    states, known = roll_out_all(case.world, RUNS, rng, checked=1)
    ours = {outcome: int((at < NEVER).sum()) for outcome, at in states.first.items()}
    if case.name != "shared days, r = 1":  # rows that are taken for independent are not
        assert max((ours[outcome] for outcome in false), default=0) <= max(case.world.policy.alpha * RUNS, 2)
        assert case.truth != "as good" or states.superior.sum() <= 2
    if case.name in NOT_FALSE:
        assert ours[NOT_FALSE[case.name]] >= 0.9 * RUNS
    others = max(false_ones(verdicts, false).mean() for verdicts in peers(case.world, known, rng))
    assert not false or others >= (0.05 if case.name == "independent rows" else 0.15)


def test_days_that_share_causes_make_many_claims_false_if_rows_are_taken_for_independent() -> None:
    """`decide` says the same at many looks of one rollout of each case, and other tests are fooled."""
    false = []
    for case in SHARED:
        rng, outcomes = np.random.default_rng(18), FALSE[case.truth]
        states, known = roll_out_all(case.world, 40, rng, checked=1)
        false.append(sum(int((states.first[outcome] < NEVER).sum()) for outcome in outcomes))
        assert max(false_ones(verdicts, outcomes).mean() for verdicts in peers(case.world, known, rng)) >= 0.15
    known, estimated, ignored = false
    assert max(known, estimated) <= 2 < 8 <= ignored


@pytest.mark.parametrize(("hour", "base"), [(1, 0.0), (HOUR, 0.0), (HOUR, 0.004)])
def test_a_fault_is_found_about_as_fast_as_by_the_limit_alone(hour: int, base: float) -> None:
    for rate, per_second in ((0.05, 2), (0.5, 0.2), (1.0, 20)):
        rng = np.random.default_rng(19)
        found = np.array([errors_found(Fault(rate, per_second, hour, base), rng) for _ in range(12)])
        before, now = np.median(found, axis=0)
        assert now <= 1.2 * before < np.inf


@pytest.mark.parametrize("name", ["both 0.4%", "both 5.0%", "50 outages, 50% fail", "5 shared outages"])
def test_of_two_versions_that_fail_alike_the_error_limit_takes_hardly_one_out(name: str) -> None:
    """`decide` finds the same e-value at some looks, the highest among them, and where the challenger fails alone."""
    rng, world = np.random.default_rng(21), equal_versions.WORLDS[name]
    seen = equal_versions.simulate(world, 0.2, rng)
    now = np.arange(len(seen.weight))
    e = over_limit_e(PAIRS, seen, now)
    alone = np.flatnonzero(seen.both[1] >= 3)[:10]
    for minute in {0, 1, *np.argsort(e)[-5:].tolist(), *alone.tolist(), *rng.integers(len(now), size=6).tolist()}:
        assert decision_at(PAIRS, seen, minute).test("error.over_limit").e_value == pytest.approx(e[minute], rel=1e-9)
    assert sum(equal_versions.rolled_back(world, per_second, 10, rng) for per_second in (0.2, 2, 20)) <= 1


def test_accuracy_and_latency_that_go_bad_in_hour_40_are_found_within_hours() -> None:
    rng = np.random.default_rng(20)
    assert np.quantile(accuracy_found(2, HOUR, 10, rng, checked=1), 0.9) <= 3
    assert np.quantile([slow_found(0.2, 3, rng) for _ in range(10)], 0.9) <= 6
