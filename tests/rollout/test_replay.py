"""Decisions again: by the same policy to the same bit, by another one as far as history can tell."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlops_dagster.predictions import BothScored, EventCounts, PairedCounts
from mlops_dagster.rollout import (
    Decision,
    EventsSince,
    Evidence,
    Outcome,
    Phase,
    Rollout,
    RolloutPolicy,
    StepCounts,
    decide,
)
from mlops_dagster.rollout.replay import imagine, replay, untold
from tests.support.rollout_evidence import labels_of

START = datetime(2026, 3, 1, tzinfo=UTC)
POLICY = RolloutPolicy(
    steps=(0.2, 0.5),
    soak_hours=2,
    min_canary_hours=4,
    deadline_hours=20,
    min_step_requests=20,
    min_step_paired=50,
    rows_per_observation=1,
)
NEW = Rollout(
    id=1,
    model="m",
    champion="1.0.0",
    challenger="1.1.0",
    policy=POLICY,
    phase=Phase.SHADOW,
    step=0,
    weight=0.0,
    started_at=START,
    canary_at=None,
    step_at=START,
    paused=False,
    peaks={},
    epoch=1,
)
Hour = tuple[int, int, int, int]
"""Wins, losses, ties, and failed answers of the canary."""


def lived(hours: Sequence[Hour], policy: RolloutPolicy = POLICY) -> list[Decision]:
    """A look after every hour of traffic, until the end; each decision is done at once, as the controller does it."""
    rollout, decisions = replace(NEW, policy=policy), []
    paired, at_step, both = PairedCounts(), 0, BothScored()
    shadow = EventCounts()
    steps: dict[float, StepCounts] = {}
    for hour, (wins, losses, ties, failed) in enumerate(hours):
        now, requests = START + timedelta(hours=hour + 1), wins + losses + ties
        paired += PairedCounts(wins, losses, ties)
        at_step += requests
        if rollout.phase is Phase.SHADOW:
            errors = min(failed, requests)
            shadow += EventCounts(requests, errors, bad_errors=errors)
        else:
            mine = round(requests * rollout.weight)
            errors = min(failed, mine)
            before = steps.get(rollout.weight, StepCounts(rollout.weight, EventCounts(), EventCounts()))
            canary = before.canary + EventCounts(mine, errors, labelled=mine - errors, bad_errors=errors)
            champion = before.champion + EventCounts(requests - mine, labelled=requests - mine)
            steps[rollout.weight] = StepCounts(rollout.weight, canary, champion)
        both += BothScored(requests, challenger_failed=errors)
        since = (EventsSince(0, tuple(steps.values()), both),)
        labels = labels_of({"late": paired} if paired.total else {}, tuple(steps.values()), step=at_step)
        decision = decide(
            policy, rollout, Evidence(now, since, shadow, labels=labels, recent=EventCounts(requests)), now
        )
        decision = replace(decision, id=len(decisions) + 1)
        decisions.append(decision)
        rollout = replace(rollout, peaks=decision.peaks)
        if decision.outcome is Outcome.ADVANCE:
            at_step, step = 0, rollout.step + 1
            rollout = replace(
                rollout,
                phase=Phase.CANARY,
                step=step,
                weight=policy.steps[step - 1],
                canary_at=rollout.canary_at or now,
                step_at=now,
                epoch=rollout.epoch + 1,
            )
        elif decision.outcome is not Outcome.HOLD:
            break
    return decisions


hours_of = st.lists(
    st.tuples(st.integers(0, 6), st.integers(0, 6), st.integers(0, 120), st.sampled_from([0, 0, 0, 0, 1, 3])),
    min_size=1,
    max_size=24,
)
EQUAL: list[Hour] = [(2, 2, 96, 0)] * 30


def outcomes(decisions: Sequence[Decision]) -> str:
    """One letter each: hold, advance, promote, roll back, give up."""
    return "".join(decision.outcome.value[0] for decision in decisions)


@given(hours_of, st.data())
@settings(max_examples=60)
def test_the_same_policy_decides_the_same_to_the_bit(hours: list[Hour], data: st.DataObject) -> None:
    stored = [replace(Decision.from_json(each.to_json()), id=each.id) for each in lived(hours)]
    assert [replay(each).differences for each in stored] == [()] * len(stored)
    # Also where some of the holds were not kept.
    kept = [each for each in stored if each.outcome is not Outcome.HOLD or data.draw(st.booleans())]
    looks = list(imagine(POLICY, kept))
    assert [each.imagined.to_json() for each in looks] == [replace(each, id=0).to_json() for each in kept]
    assert all(each.certain and each.same for each in looks)


@given(hours_of, hours_of)
@settings(max_examples=40)
def test_another_policy_is_certain_until_it_first_decides_otherwise(one: list[Hour], other: list[Hour]) -> None:
    strict = POLICY.model_copy(update={"min_step_paired": 250, "margin": 0.05})
    looks = list(imagine(strict, lived(one + other)))
    same = [each.same for each in looks]
    first = same.index(False) if False in same else len(same)
    assert [each.certain for each in looks] == [index <= first for index in range(len(looks))]
    assert all(each.imagined.rollout.policy == strict for each in looks)


def test_what_was_tampered_with_is_named() -> None:
    stored = lived(EQUAL)[3]
    first, *rest = stored.tests
    tampered = replace(stored, outcome=Outcome.PROMOTE, tests=(replace(first, e_value=99.0), *rest))
    outcome, test = replay(tampered).differences
    assert outcome == "outcome: promote stored, hold now"
    assert test.startswith("rollback.worse: ")
    assert "e_value=99.0" in test
    evidence = replace(stored.evidence, labels=labels_of({"late": PairedCounts(ties=1)}))
    assert replay(replace(stored, evidence=evidence)).differences


@pytest.mark.parametrize("origin", ["hand", "deployment"])
def test_what_a_person_did_is_not_decided_again_but_its_tests_are(origin: str) -> None:
    stored = replace(lived(EQUAL)[0], outcome=Outcome.GIVE_UP, reason="enough", origin=origin)
    assert replay(stored).differences == ()
    first, *rest = stored.tests
    assert replay(replace(stored, tests=(replace(first, p=0.5), *rest))).differences


def test_a_slower_policy_goes_the_same_way_later() -> None:
    history = lived(EQUAL)
    assert outcomes(history) == "aha" + "h" * (len(history) - 4) + "p"
    slower = POLICY.model_copy(update={"soak_hours": 4})
    looks = list(imagine(slower, history))
    assert outcomes([each.imagined for each in looks]) == "ahhha" + "h" * (len(history) - 6) + "p"
    assert [each.certain for each in looks[:4]] == [True, True, True, False]
    assert [each.imagined.rollout.step for each in looks[:6]] == [0, 1, 1, 1, 1, 2]
    assert [each.imagined.rollout.weight for each in looks[2:6]] == [0.2, 0.5, 0.5, 0.5]  # as it was in force


def test_the_pairs_of_a_step_are_counted_from_where_it_would_have_begun() -> None:
    many = POLICY.model_copy(update={"min_step_paired": 300})
    looks = list(imagine(many, lived(EQUAL)))
    by_step: dict[int, list[int]] = {}
    for each in looks:
        by_step.setdefault(each.imagined.rollout.step, []).append(each.imagined.evidence.labels.step)
    assert by_step[1] == [100, 200, 300]
    assert by_step[2][:3] == [100, 200, 300]


def test_a_policy_with_a_tighter_alarm_ends_it_earlier() -> None:
    history = lived([(2, 2, 96, 0)] * 4 + [(2, 7, 91, 0)] * 26)
    wary = POLICY.model_copy(update={"margin": 0.005})
    looks = list(imagine(wary, history))
    assert looks[-1].imagined.outcome is Outcome.ROLLBACK
    assert len(looks) < len(history)


def test_what_history_cannot_tell_is_told() -> None:
    (always,) = untold(POLICY, POLICY)
    assert "the way which was taken" in always
    other = RolloutPolicy(
        steps=(0.1,), slow_ms=50, paired_share=0.5, margin=0.01, min_label_share=0.9, rows_per_observation=1
    )
    steps, maturity, slow, share, peaks, _ = untold(POLICY, other)
    assert steps == "the traffic went at 20 % -> 50 %, never at 10 %"
    assert maturity == "labels counted as complete at other times"
    assert slow == "answers over 200 ms were counted as slow, not over 50 ms"
    assert "scored by both" in share
    assert "a peak between two of them" in peaks
