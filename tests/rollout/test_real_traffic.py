"""Harmless challengers on the traffic people really have: neither taken out nor promoted by what proves nothing."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from mlops_dagster.predictions import BothScored, PairedCounts
from mlops_dagster.registry import PAIRED, Baseline
from mlops_dagster.rollout import (
    Decision,
    EventsSince,
    Evidence,
    Labels,
    LabelsSince,
    Outcome,
    Rollout,
    RolloutPolicy,
    StepCounts,
    collect,
    decide,
)
from mlops_dagster.schema import Feature, ModelSchema
from mlops_dagster.statistics import CategoricalBins, DesignEffect, Histogram
from mlops_dagster.tasks import Classification
from tests.support.rollout_evidence import (
    INDEPENDENT,
    LAST,
    START,
    a_rollout,
    arm,
    evidence,
    hour,
    labels_of,
    late_starts,
)

pytestmark = pytest.mark.slow

World = Any  # conftest's; test modules cannot import it in importlib mode
WorldOf = Callable[..., World]

ARMS: Mapping[str, object] = {"answer_influences_label": True}


def last(world: World) -> Decision:
    decision: Decision = world.rollouts.last_decision(world.rollout.id)
    return decision


def seen(world: World) -> Evidence:
    return collect(world.rollups, world.rollout, world.clock.now())


# Rows of one request share its fate


@pytest.mark.parametrize("changes", [{}, ARMS], ids=["pairs", "arms"])
def test_a_request_of_200_rows_counts_once(world_of: WorldOf, changes: Mapping[str, object]) -> None:
    world = world_of(**changes)
    before = seen(world)
    world.serve(errors=1, rows=200, hours=0.2)
    world.serve(losses=1, rows=200, hours=0)
    world.serve(ties=199)
    after = seen(world)
    did = after.challenger - before.challenger
    if changes:
        assert max(did.bad_errors, did.bad_wrong) <= 1
    else:
        assert (did.requests, did.errors, did.failed_rows, did.wrong) == (201, 1, 200, 200)
        assert after.since[0].both - before.since[0].both == BothScored(201, challenger_failed=1)
        assert after.labels.units == before.labels.units + 200
        assert after.labels.paired - before.labels.paired == PairedCounts(losses=1, ties=199)
    assert world.tick() is not Outcome.ROLLBACK


@pytest.mark.parametrize("changes", [{}, ARMS], ids=["pairs", "arms"])
def test_what_one_client_repeats_600_times_counts_once(world_of: WorldOf, changes: Mapping[str, object]) -> None:
    world = world_of(**changes)
    before = seen(world)
    world.serve(losses=600, unit="the same row", hours=0.5)
    after = seen(world)
    assert after.labels.units == before.labels.units + 1
    if not changes:
        assert after.challenger.wrong == before.challenger.wrong + 600
        assert after.labels.paired - before.labels.paired == PairedCounts(losses=1)
    assert after.labels.canary.bad_wrong <= 1
    assert world.tick() is Outcome.HOLD


def test_what_one_key_fails_on_counts_once_a_minute(world_of: WorldOf) -> None:
    world = world_of()
    before = seen(world).since[0].both
    world.serve(errors=300, key="ada", hours=0.5)
    both = seen(world).since[0].both - before
    assert (both.requests, both.challenger_failed) == (1, 1)
    assert world.tick() is Outcome.HOLD


def test_a_challenger_that_fails_all_requests_of_a_few_keys_is_found_within_minutes(world_of: WorldOf) -> None:
    world = world_of()
    for _ in range(4):
        for key in ("ada", "bob", "eve"):
            world.serve(errors=20, key=key, hours=0)
        world.later(1 / 60)
    assert world.tick() is Outcome.ROLLBACK


# Failures that the champion shares, or has more of


@pytest.mark.parametrize(
    ("challenger", "champion", "shared", "told"),
    [(0.02, 0.05, 0.0, True), (0.013, 0.013, 0.0, False), (0.0, 0.0, 0.05, True), (0.005, 0.005, 0.05, True)],
    ids=["5 % and 2 %", "1.3 % both", "an outage of both", "an outage of both, and single failures"],
)
@pytest.mark.parametrize("policy", [INDEPENDENT, RolloutPolicy(**ARMS)], ids=["pairs", "arms"])  # type: ignore[arg-type]
def test_one_that_fails_no_more_than_its_champion_stays(
    policy: RolloutPolicy, challenger: float, champion: float, shared: float, told: bool
) -> None:
    """20 trials of 6,000 requests at a share of 20 %, 60 a minute, 30 looks: no rollback in any of them."""
    rng, n, weight = np.random.default_rng(17), 6000, policy.steps[2]
    told_of, at = 0, a_rollout(3, policy=policy)
    for _ in range(20):
        bad = [rng.random(n) < rate for rate in (challenger, champion)]
        outage = slice(n // 3, n // 3 + round(shared * n))
        bad[0][outage] = bad[1][outage] = True
        answers = rng.random(n) < weight
        told_in = False
        for now in range(200, n + 1, 200):
            seen = requests_seen(*bad, answers, now, weight)
            if not policy.uses_pairs:  # then nothing is scored beside an answer
                seen = replace(seen, since=tuple(replace(each, both=BothScored()) for each in seen.since))
            decision = decide(policy, at, seen, hour(now / 3600))
            assert decision.outcome is Outcome.HOLD
            told_in |= decision.test("champion.over_limit").proven
        told_of += told_in
    assert (told_of == 20) if told else (told_of < 20)


def requests_seen(challenger: Any, champion: Any, answers: Any, now: int, weight: float) -> Evidence:
    """Up to request `now`, 60 a minute, each scored by both; the challenger answers some, the champion the others."""

    def since(minute: int) -> EventsSince:
        part = slice(60 * minute, now)
        mine, other, canary = challenger[part], champion[part], answers[part]
        step = StepCounts(
            weight,
            arm(int(canary.sum()), int((mine & canary).sum())),
            arm(int((~canary).sum()), int((other & ~canary).sum())),
        )
        both = BothScored(len(mine), int((mine & ~other).sum()), int((other & ~mine).sum()), int((mine & other).sum()))
        return EventsSince(minute, (step,), both)

    return Evidence(START, tuple(since(minute) for minute in [0, *late_starts(now // 60)]))


def test_a_single_challenger_that_fails_is_found_whoever_else_fails() -> None:
    both = BothScored(3000, challenger_failed=60, champion_failed=9, both_failed=300)
    decision = decide(INDEPENDENT, a_rollout(3), evidence(both=both), hour(10))
    assert (decision.outcome, "error.over_limit" in decision.reason) == (Outcome.ROLLBACK, True)


# Labels that come late, of one kind before the other, or only of wrong answers


def test_labels_of_one_arm_wait_for_those_of_the_other(world_of: WorldOf) -> None:
    """As good as each other: what is known first is known of the canary alone."""
    world = world_of(**ARMS, min_step_paired=400)
    before = seen(world).labels
    world.serve(wins=200, losses=200, ties=600, labelled=False)
    world.label(lambda _fate, _truth, role: role == "canary")
    assert world.tick() is Outcome.HOLD
    share = (before.labelled + 200) / (before.units + 1000)
    assert f"labels of {share:.0%} are known, 95% are needed" in last(world).reason
    assert seen(world).labels.canary == before.canary
    world.label()
    assert world.tick() is Outcome.HOLD
    assert seen(world).labels.canary.unit_labels == before.canary.unit_labels + 200
    assert last(world).test("rollback.worse").e_value < 2


def test_labels_of_one_class_wait_for_those_of_the_other(world_of: WorldOf) -> None:
    """Better on what is known at once, worse on what is known days later: 4 points worse in all."""
    world = world_of(step=2, deadline_hours=100)
    labels = seen(world).labels
    before, share = labels.paired, (labels.labelled + 900) / (labels.units + 1500)
    for _ in range(3):
        world.serve(wins=40, ties=260, truth="on_time", labelled=False, hours=0)
        world.serve(losses=60, ties=140, truth="late", labelled=False, hours=1)
    world.label(lambda _fate, truth, _role: truth == "on_time")
    world.later(10)
    assert world.tick() is Outcome.HOLD
    assert f"labels of {share:.0%} are known, 95% are needed" in last(world).reason
    assert seen(world).labels.paired == before
    world.label()
    world.later(1)
    assert world.tick() is not Outcome.PROMOTE
    assert seen(world).labels.paired == before + PairedCounts(120, 180, 1200)


@pytest.mark.parametrize("policy", ["all", "complaints"])
def test_complaints_alone_prove_nothing_between_equals(world_of: WorldOf, policy: str) -> None:
    """Only wrong answers get a label, whoever gave them: 200 of each arm's thousand, by share."""
    changes = {"labels": "complaints", "paired": False, "min_step_paired": 10} if policy == "complaints" else {}
    world = world_of(step=1, **changes)
    world.serve(wins=200, losses=200, ties=600, labelled=False)
    world.label(lambda fate, _truth, role: fate == ("loss" if role == "canary" else "win"))
    outcome = world.tick()
    rollback = last(world).test("rollback.worse")
    assert (outcome in (Outcome.HOLD, Outcome.ADVANCE), rollback.e_value < 2) == (True, True), last(world).reason
    assert not any(test.proven for test in last(world).tests if test.name.endswith("superior"))
    if policy == "all":
        assert (outcome, seen(world).labels.step) == (Outcome.HOLD, 0)
        assert "are known, 95% are needed" in last(world).reason


# A class that is rarer than the margin


RARE = {"fine": 0.99, "fraud": 0.01}


def stream(n: int, found: float, alarms: float) -> Mapping[str, PairedCounts]:
    """The champion finds 70 % of the fraud and has 1 % false alarms; the challenger finds so much more or less."""
    fraud, fine = round(n * RARE["fraud"]), round(n * RARE["fine"])
    more, fewer = max(round(found * fraud), 0), max(round(-found * fraud), 0)
    return {
        "fraud": PairedCounts(more, fewer, fraud - more - fewer),
        "fine": PairedCounts(round(alarms * fine), 0, fine - round(alarms * fine)),
    }


def on_rare(outcomes: Mapping[str, PairedCounts], policy: RolloutPolicy = INDEPENDENT, hours: float = 168) -> Decision:
    at = a_rollout(LAST, policy=policy, strata=RARE)
    labels = labels_of(outcomes, evidence().steps)
    return decide(policy, at, replace(evidence(), labels=labels), hour(hours))


def test_one_that_always_says_fine_is_rolled_back() -> None:
    decision = on_rare(stream(5000, found=-0.7, alarms=0.01))
    assert (decision.outcome, "paired.worse" in decision.reason) == (Outcome.ROLLBACK, True)
    assert "balanced accuracy" in decision.test("paired.worse").claim


def test_one_that_harms_the_common_class_alone_is_rolled_back_unless_the_policy_says_that_it_may() -> None:
    """Five points of nearly all answers are two and a half of the mean of the classes, which takes 100,000 labels."""
    worse = {"fraud": PairedCounts(1, 1, 48), "fine": PairedCounts(50, 297, 4603)}
    decision = on_rare(worse)
    assert (decision.outcome, "paired.worse" in decision.reason) == (Outcome.ROLLBACK, True)
    assert decision.test("paired.worse").claim.startswith("balanced accuracy, or accuracy, more than 0.02 under")
    spared = on_rare(worse, INDEPENDENT.model_copy(update={"loss": "balanced"}))
    assert spared.outcome is Outcome.GIVE_UP, spared.reason
    tolerable = {"fraud": PairedCounts(400, 0, 600), "fine": PairedCounts(0, 2500, 96_500)}
    assert on_rare(tolerable).outcome is not Outcome.PROMOTE
    assert on_rare(tolerable, INDEPENDENT.model_copy(update={"loss": "balanced"})).outcome is Outcome.PROMOTE


def test_one_that_is_as_good_on_both_classes_is_promoted() -> None:
    decision = on_rare(stream(40_000, found=0.0, alarms=0.0))
    assert decision.outcome is Outcome.PROMOTE, decision.reason


@pytest.mark.parametrize("outcomes", [stream(5000, -0.7, 0.01), stream(100_000, 0.0, 0.0)])
def test_accuracy_with_a_margin_worth_a_class_is_given_up_with_the_arithmetic(
    outcomes: Mapping[str, PairedCounts],
) -> None:
    policy = RolloutPolicy(rows_per_observation=1, loss="accuracy")
    decision = on_rare(outcomes, policy, hours=60)
    assert decision.outcome is Outcome.GIVE_UP
    assert decision.reason == (
        "class fraud is 1.00% of the labels, so a version that always misses it loses 0.0100 of accuracy, which the "
        "margin of 0.02 allows; use `loss: balanced`, or a margin under 0.01"
    )


@pytest.mark.parametrize(
    ("trained_on", "reason"),
    [
        (RARE, "class fraud has 0 labels of 39,600 so far and was 1.00% of them where 1.0.1 was trained"),
        ({"fine": 0.5, "fraud": 0.5}, "class fraud has 0 labels of 39,600 so far and was 50.00% of them where"),
    ],
    ids=["its labels come later", "trained on as many of each"],
)
def test_a_class_whose_labels_have_not_come_promotes_nothing(trained_on: Mapping[str, float], reason: str) -> None:
    """Nearly all labels are known, and the missing ones are those of the rare class."""
    fine = {"fine": PairedCounts(wins=396, ties=39_204)}
    at = a_rollout(LAST, strata=trained_on)
    for hours, outcome in ((60, Outcome.HOLD), (168, Outcome.GIVE_UP)):
        decision = decide(INDEPENDENT, at, replace(evidence(), labels=labels_of(fine, evidence().steps)), hour(hours))
        assert decision.test("paired.not_worse").verdict == "inconclusive"
        assert (decision.outcome, reason in decision.reason) == (outcome, True), decision.reason


def test_a_class_whose_labels_have_not_come_rolls_nothing_back() -> None:
    """A challenger that finds more frauds, at the price of some alarms: of the alarms all labels have come."""
    at, fine = a_rollout(LAST, strata=RARE), {"fine": PairedCounts(losses=8_000, ties=31_600)}
    decision = decide(INDEPENDENT, at, replace(evidence(), labels=labels_of(fine, evidence().steps)), hour(60))
    assert decision.outcome is Outcome.HOLD
    assert decision.test("paired.worse").verdict == "inconclusive"


@pytest.mark.parametrize("fraud", [0, 300], ids=["no label of it", "3 % of the labels"])
def test_one_that_was_not_trained_here_needs_common_classes(fraud: int) -> None:
    at = a_rollout(LAST, strata={"fine": 0.0, "fraud": 0.0})
    pairs = {"fine": PairedCounts(wins=396, ties=9_204), "fraud": PairedCounts(losses=fraud)}
    seen = replace(evidence(), labels=labels_of(pairs, evidence().steps))
    for hours in (60, 168):
        assert decide(INDEPENDENT, at, seen, hour(hours)).outcome is not Outcome.PROMOTE
    said = decide(INDEPENDENT, at, seen, hour(60)).reason
    assert "too rare for accuracy to show its loss" in said or "leans to worse" in said


@pytest.mark.parametrize(
    ("trained_on", "reason"),
    [
        ({}, "class fraud is 1.00% of the labels here, all of which the margin of 0.02 allows to lose"),
        ({"fine": 0.5, "fraud": 0.5}, "class fraud is 1.00% of the labels here and was 50.00% where 1.0.1 was trained"),
    ],
    ids=["shares unknown", "trained on as many of each"],
)
def test_a_class_that_is_rare_in_the_traffic_promotes_nothing(trained_on: Mapping[str, float], reason: str) -> None:
    """Always "fine", of a version that knows nothing of how rare fraud is: by accuracy no worse."""
    at, outcomes = a_rollout(LAST, strata=trained_on), stream(5000, found=-0.7, alarms=0.01)
    decision = decide(INDEPENDENT, at, replace(evidence(), labels=labels_of(outcomes, evidence().steps)), hour(168))
    assert decision.test("paired.not_worse").proven
    assert (decision.outcome, reason in decision.reason) == (Outcome.GIVE_UP, True), decision.reason


def test_a_balanced_loss_of_unknown_classes_is_not_compared_by_accuracy() -> None:
    policy = RolloutPolicy(rows_per_observation=1, loss="balanced")
    decision = decide(policy, a_rollout(LAST, policy=policy), evidence((80, 30, 890)), hour(60))
    assert (decision.outcome, "the shares of the labels are unknown" in decision.reason) == (Outcome.HOLD, True)


def test_between_two_arms_a_rare_class_is_not_seen() -> None:
    policy = RolloutPolicy(rows_per_observation=1, paired=False)
    decision = on_rare(stream(5000, -0.7, 0.01), policy, hours=60)
    assert (decision.outcome, "its loss is not seen" in decision.reason) == (Outcome.HOLD, True), decision.reason
    assert decision.test("wrong.worse").verdict == "inconclusive"


# Rows that share a day's causes


def test_without_knowing_how_many_rows_count_as_one_nothing_is_concluded() -> None:
    unknown = RolloutPolicy()
    at = a_rollout(LAST, policy=unknown)
    for pairs in ((500, 0, 500), (0, 500, 500)):
        decision = decide(unknown, at, evidence(pairs), hour(60))
        assert (decision.outcome, "how many rows of a day count as one is unknown" in decision.reason) == (
            Outcome.HOLD,
            True,
        )
        accuracy = [test for test in decision.tests if test.metric == "paired"]
        assert {(test.verdict, test.e_value) for test in accuracy} == {("inconclusive", 1.0)}
    assert decide(unknown, at, evidence((500, 0, 500)), hour(168)).outcome is Outcome.GIVE_UP
    failing = evidence(both=BothScored(1000, challenger_failed=100))
    assert decide(unknown, at, failing, hour(60)).outcome is Outcome.ROLLBACK, "errors need no labels"


@pytest.mark.parametrize(
    ("stated", "shared", "counts_as_one"),
    [(10.0, None, 10.0), (None, 30.0, 30.0), (5.0, 30.0, 5.0), (50.0, 30.0, 50.0)],
)
def test_what_the_policy_states_wins_over_the_estimate(
    stated: float | None, shared: float | None, counts_as_one: float
) -> None:
    effect = None if shared is None else DesignEffect(rows=shared, rows_per_day=1000, lasting=0.0)
    policy = RolloutPolicy(rows_per_observation=stated)
    labels = labels_of({"late": PairedCounts(80, 30, 890)}, evidence().steps)
    seen = replace(evidence(), through=hour(24), labels=labels)
    at = a_rollout(LAST, policy=policy, shared=effect)
    superior = decide(policy, at, seen, hour(60)).test("paired.superior")
    assert superior.observed["rows_per_observation"] == pytest.approx(counts_as_one)
    assert not superior.proven
    assert decide(INDEPENDENT, a_rollout(LAST), seen, hour(60)).test("paired.superior").proven


@pytest.mark.parametrize(("rows", "doubtful"), [(1.0, True), (40.0, False)])
def test_days_that_differ_by_more_than_reckoned_promote_nothing(rows: float, doubtful: bool) -> None:
    days = (PairedCounts(90, 2, 800), PairedCounts(2, 95, 800), PairedCounts(300, 5, 590))
    policy = RolloutPolicy(rows_per_observation=rows)
    labels = replace(labels_of({"late": sum(days, PairedCounts())}, evidence().steps), days=days)
    decision = decide(policy, a_rollout(LAST, policy=policy), replace(evidence(), labels=labels), hour(100))
    assert decision.outcome is Outcome.HOLD
    assert ("days of the rollout differ" in decision.reason) == doubtful
    assert (decision.test("paired.superior").verdict == "inconclusive") == doubtful


@pytest.mark.parametrize("rows", [1.0, 20.0])
def test_one_that_goes_bad_at_midnight_is_taken_out_though_its_days_differ(rows: float) -> None:
    """10 points at 2 requests a second: by three in the morning, where an observation is one row."""
    policy, an_hour = RolloutPolicy(rows_per_observation=rows), 7200

    def by(hours: int) -> Decision:
        day, night = PairedCounts(5184, 5184, 162_432), an_hour * hours
        since = PairedCounts(night * 2 // 100, night * 12 // 100, night * 86 // 100)
        labels = Labels(
            since=(LabelsSince(0, {"late": day + since}), LabelsSince(1440, {"late": since})), days=(day, since)
        )
        at = a_rollout(3, policy=policy)
        return decide(policy, at, replace(evidence(), labels=labels), hour(24 + hours))

    first = next(hours for hours in range(1, 24) if by(hours).outcome is Outcome.ROLLBACK)
    assert first <= (3 if rows == 1 else 12)
    assert "most by paired.worse" in by(first).reason
    assert by(first).test("paired.superior").verdict == "inconclusive"


def test_what_the_evaluation_showed_goes_with_the_rollout(world_of: WorldOf) -> None:
    """Rows of a day that count as one, and how rare each class is; NULL labels are no class."""
    rows = [*["fine"] * 297, *["fraud"] * 3, None, "never heard of"]
    label = Histogram.of(CategoricalBins(("fine", "fraud")), rows)
    effect = DesignEffect(rows=12.0, rows_per_day=300.0, lasting=0.1)
    schema = ModelSchema(features=(Feature(name="x", kind="numeric"),), task=Classification(classes=("fraud", "fine")))
    world = world_of(step=0, rows_per_observation=None)
    world.controller.abort(world.model, "another one comes")
    world.register("1.2.0", baseline=Baseline({"x": label}, label, label, {PAIRED: effect}), schema=schema)
    world.tick()
    assert (world.rollout.challenger, world.rollout.shared) == ("1.2.0", effect)
    assert world.rollout.strata == {"fraud": 0.01, "fine": 0.99}
    assert Rollout.from_json(world.rollout.to_json()) == world.rollout
    first, *_ = world.rollouts.list(world.model)
    assert (first.shared, first.strata) == (None, {})
