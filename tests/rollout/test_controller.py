"""The controller against the real registry and rollups: the whole way, and everything that comes between."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from mlops_dagster.errors import (
    AlreadyRunningError,
    ApprovalError,
    IncompleteCardError,
    ModelNotFoundError,
    RolloutNotFoundError,
)
from mlops_dagster.registry import GatePolicy, ModelCard, ModelRegistry, Stage
from mlops_dagster.rollout import Outcome, Phase, RolloutPolicy

World = Any  # conftest's; test modules cannot import it in importlib mode


@pytest.mark.parametrize("database", ["sqlite", "postgresql"], indirect=True)
def test_a_better_challenger_goes_the_whole_way(world: World) -> None:
    world.register("1.1.0")
    outcomes = [world.tick()]
    while world.rollout.phase is not Phase.PROMOTED:
        world.serve_better()
        outcomes.append(world.tick())
    assert outcomes == ["hold", "advance", "advance", "promote", "hold", "advance"]
    assert world.tick() is None

    rollout = world.rollout
    decisions = world.rollouts.decisions(rollout.id)
    assert [decision.outcome for decision in decisions] == outcomes
    assert rollout.reason == decisions[3].reason
    assert rollout.reason.startswith("proven superior: paired.superior")
    assert (world.deployment.champion, world.deployment.previous, world.deployment.canary) == ("1.1.0", "1.0.0", None)
    assert (world.stage("1.0.0"), world.deployment.shadows) == (Stage.DEPRECATED, ())
    weights = [(event.to_stage, event.deployment.canary_weight) for event in world.registry.history(world.model)]
    assert [(stage, weight) for stage, weight in weights if weight] == [(Stage.CANARY, 0.2), (None, 0.5)]
    promoted = next(event for event in world.registry.history(world.model) if event.reason == rollout.reason)
    assert promoted.evidence["decision"] == decisions[3].id
    assert world.registry.audit().events > 0


def test_an_equal_challenger_is_promoted_at_the_deadline_and_not_before(world: World) -> None:
    world.register("1.1.0")
    world.reach(2)
    while world.tick() is Outcome.HOLD:
        world.serve(wins=2, losses=2, ties=246)
    assert world.rollout.phase is Phase.WATCH
    assert "at the deadline proven not worse" in world.rollouts.last_decision(world.rollout.id).reason
    assert (world.clock.now() - world.rollout.started_at).total_seconds() >= 10 * 3600


def test_nothing_is_promoted_while_traffic_has_stopped(world: World) -> None:
    world.register("1.1.0")
    world.reach(2)
    world.serve(wins=80, losses=10, ties=310, hours=3)
    assert world.tick() is Outcome.HOLD
    assert "has scored nothing for 2 hours" in world.rollouts.last_decision(world.rollout.id).reason
    world.serve(ties=1, hours=1.9)
    assert world.tick() is Outcome.PROMOTE


def test_one_that_stays_unproven_goes_back_without_a_stain(world: World) -> None:
    world.register("1.1.0")
    world.reach(1)
    world.later(10)
    assert world.tick() is Outcome.GIVE_UP
    assert world.rollout.phase is Phase.GIVEN_UP
    version = world.registry.get(world.model, "1.1.0")
    assert (version.stage, version.rolled_back) == (Stage.REGISTERED, False)
    assert world.deployment.canary is None
    assert world.tick() is None  # the same version is not tried again


@pytest.mark.parametrize("database", ["sqlite", "postgresql"], indirect=True)
@pytest.mark.parametrize("step", [0, 1, 2])
def test_a_bad_challenger_is_withdrawn_in_any_phase(world: World, step: int) -> None:
    world.register("1.1.0")
    world.reach(step)
    world.serve_worse()
    assert world.tick() is Outcome.ROLLBACK
    version = world.registry.get(world.model, "1.1.0")
    assert (version.stage, version.rolled_back) == (Stage.DEPRECATED, True)
    assert (world.deployment.champion, world.deployment.canary, world.deployment.shadows) == ("1.0.0", None, ())
    assert world.rollout.phase is Phase.ROLLED_BACK
    assert "paired.worse" in world.rollout.reason


def test_a_challenger_that_fails_is_withdrawn_before_any_label(world: World) -> None:
    world.register("1.1.0")
    world.reach(1)
    world.serve(errors=10, ties=90, hours=0.1)
    assert world.tick() is Outcome.ROLLBACK
    assert "error.over_limit" in world.rollout.reason


def test_a_paused_rollout_stands_still_but_rolls_back(world: World) -> None:
    world.register("1.1.0")
    world.reach(1)
    world.rollouts.pause(world.model, world.clock.now())
    world.serve_equal()
    assert (world.tick(), world.rollout.step) == (Outcome.HOLD, 1)
    world.rollouts.resume(world.model, world.clock.now())
    assert (world.tick(), world.rollout.step) == (Outcome.ADVANCE, 2)
    world.rollouts.pause(world.model, world.clock.now())
    world.serve_worse()
    assert world.tick() is Outcome.ROLLBACK


def test_the_deadline_moves_by_the_time_paused(world: World) -> None:
    """Time paused is not time watched: who comes back from a holiday finds the trial as it was left."""
    world.register("1.1.0")
    world.reach(1)
    deadline = world.rollout.deadline(world.clock.now())
    for hours in (20, 3):
        world.controller.pause(world.model, "a holiday")
        world.later(hours / 2)
        world.controller.pause(world.model, "paused already")
        world.later(hours / 2)
        assert world.tick() is Outcome.HOLD
        world.controller.resume(world.model, "back again")
        world.controller.resume(world.model, "resumed already")
        assert world.tick() is Outcome.HOLD, "not given up by the first look"
    moved = world.rollout.deadline(world.clock.now())
    assert moved - deadline == timedelta(hours=23)
    world.later((moved - world.clock.now()) / timedelta(hours=1) - 0.01)
    assert world.tick() is Outcome.HOLD
    world.later(0.01)
    assert world.tick() is Outcome.GIVE_UP
    assert world.rollout.reason.startswith(f"at the deadline {moved:%Y-%m-%d %H:%M}")


def test_a_pause_between_decision_and_deed_stops_the_deed(world: World) -> None:
    world.register("1.1.0")
    world.reach(1)
    world.serve_equal()
    decision = world.controller.assess(world.model)
    assert decision.outcome is Outcome.ADVANCE
    world.rollouts.pause(world.model, world.clock.now())
    assert world.controller.enact(decision).step == 1
    assert world.deployment.canary_weight == 0.2


# Which version gets a rollout


def test_without_a_champion_there_is_no_rollout(world: World, tmp_path: Path, reopen: Any) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    other = reopen(empty, world.clock.now())
    with pytest.raises(ModelNotFoundError):
        other.tick()
    other.register("1.0.0")
    assert other.tick() is None
    assert other.rollouts.list() == []
    other.close()


def test_a_newer_version_waits_and_those_passed_over_never_get_one(world: World) -> None:
    world.register("1.1.0")
    world.reach(1)
    world.register("1.2.0")
    world.register("1.3.0")
    world.serve_equal()
    assert world.tick() is Outcome.ADVANCE
    assert world.rollout.challenger == "1.1.0"
    world.serve_worse()
    assert world.tick() is Outcome.ROLLBACK
    world.tick()
    assert world.rollout.challenger == "1.3.0"
    assert world.deployment.shadows == ("1.3.0",)
    world.controller.abort(world.model, "enough")
    assert world.tick() is None


def test_a_version_older_than_the_champion_gets_none(world: World) -> None:
    world.register("1.1.0")
    world.champion("1.2.0")
    assert world.tick() is None


def test_a_canary_set_by_hand_is_taken_on(world: World) -> None:
    version = world.register("1.1.0")
    world.register("1.2.0")
    world.registry.transition(version, Stage.CANARY, weight=0.5)
    world.later(0.5)
    world.tick()
    rollout = world.rollout
    assert (rollout.challenger, rollout.phase, rollout.step, rollout.weight) == ("1.1.0", Phase.CANARY, 2, 0.5)
    world.serve_worse()
    assert world.tick() is Outcome.ROLLBACK


# Changes that others make


def test_what_the_fuse_withdrew_is_closed_with_its_reason(world: World) -> None:
    version = world.register("1.1.0")
    world.reach(1)
    world.registry.withdraw(version, reason="fuse: error rate")
    decision = world.controller.assess(world.model)
    assert (decision.outcome, decision.reason, decision.origin) == (Outcome.ROLLBACK, "fuse: error rate", "deployment")
    assert world.controller.enact(decision).phase is Phase.ROLLED_BACK
    assert world.rollout.reason == "fuse: error rate"
    assert world.tick() is None


def test_what_nobody_enacts_is_closed_by_the_next_look(world: World) -> None:
    version = world.register("1.1.0")
    world.reach(1)
    world.registry.withdraw(version, reason="fuse: error rate")
    first = world.controller.assess(world.model)
    assert world.controller.assess(world.model) is None
    assert world.rollout.phase is Phase.ROLLED_BACK
    assert world.controller.enact(first).phase is Phase.ROLLED_BACK
    assert [d.outcome for d in world.rollouts.decisions(world.rollout.id)].count(Outcome.ROLLBACK) == 1


def test_a_version_put_back_by_hand_is_given_up(world: World) -> None:
    version = world.register("1.1.0")
    world.reach(1)
    world.registry.transition(version, Stage.REGISTERED, reason="not now")
    assert world.tick() is Outcome.GIVE_UP
    assert world.rollout.reason == "not now"


def test_a_promotion_by_hand_ends_the_rollout(world: World) -> None:
    version = world.register("1.1.0")
    world.reach(1)
    world.registry.transition(version, Stage.PRODUCTION, reason="I know it is good")
    assert world.tick() is Outcome.PROMOTE
    assert (world.rollout.phase, world.rollout.reason) == (Phase.PROMOTED, "I know it is good")


@pytest.mark.parametrize("paused", [False, True])
@pytest.mark.parametrize("step", [0, 1])
def test_a_champion_that_was_rolled_back_takes_the_comparison_with_it(world: World, step: int, paused: bool) -> None:
    world.champion("1.1.0")
    world.register("1.2.0")
    world.reach(step)
    if paused:
        world.rollouts.pause(world.model, world.clock.now())
    world.registry.rollback(world.model, reason="the champion is broken")
    assert world.tick() is Outcome.GIVE_UP
    assert "the champion is 1.0.0 now" in world.rollout.reason or world.rollout.reason == "the champion is broken"
    assert world.rollout.phase is Phase.GIVEN_UP
    assert (world.deployment.canary, world.deployment.shadows) == (None, ())


def test_a_weight_set_by_hand_is_followed(world: World) -> None:
    world.register("1.1.0")
    world.reach(1)
    world.later(0.5)
    world.registry.set_canary_weight(world.model, 0.5, expected_epoch=world.deployment.epoch, reason="faster")
    assert world.tick() is Outcome.HOLD
    assert (world.rollout.step, world.rollout.weight, world.rollout.step_at) == (2, 0.5, world.clock.now())


def test_another_shadow_does_not_start_the_soak_anew(world: World) -> None:
    world.register("1.1.0")
    world.reach(1)
    step_at = world.rollout.step_at
    world.later(0.5)
    world.registry.transition(world.register("1.2.0"), Stage.SHADOW)
    assert world.tick() is Outcome.HOLD
    assert world.rollout.step_at == step_at


def test_a_decision_about_another_deployment_does_nothing(world: World) -> None:
    world.register("1.1.0")
    world.reach(1)
    world.serve_equal()
    decision = world.controller.assess(world.model)
    world.registry.set_canary_weight(world.model, 0.1, expected_epoch=world.deployment.epoch, reason="slower")
    world.controller.enact(decision)
    assert world.deployment.canary_weight == 0.1


def test_a_rollout_is_not_over_before_its_challenger_is_out(world: World) -> None:
    """The champion falls between decision and deed: the deed is not done, and the shadow not forgotten."""
    world.champion("1.1.0")
    world.register("1.2.0")
    world.reach(0)
    world.serve_equal()
    decision = world.controller.assess(world.model)
    world.registry.rollback(world.model, reason="the champion is broken")
    assert world.controller.enact(decision).phase is Phase.SHADOW
    assert world.tick() is Outcome.GIVE_UP
    assert (world.rollout.phase, world.deployment.shadows) == (Phase.GIVEN_UP, ())


def test_a_promotion_that_the_gates_refuse_is_given_up_loudly(world: World) -> None:
    world.register("1.1.0", card=ModelCard(intended_use="no more than that"))
    world.reach(2)
    world.serve_better()
    with pytest.raises(IncompleteCardError):
        world.tick()
    assert world.rollout.phase is Phase.GIVEN_UP
    assert "promotion refused: flights 1.1.0 may not enter production" in world.rollout.reason
    assert world.tick() is None


@pytest.mark.parametrize("database", ["sqlite", "postgresql"], indirect=True)
def test_a_proven_challenger_waits_for_the_person_who_approves(world: World) -> None:
    world.register("1.1.0")
    world.registry.publish_policies(world.model, {"gates": GatePolicy(approvers=("grace",))})
    world.reach(2)
    for _ in range(2):
        world.serve_better()
        assert world.tick() is Outcome.HOLD
    assert "waits for approval" in world.rollouts.decisions(world.rollout.id)[-1].reason
    kinds = [event.kind for event in world.registry.history(world.model)]
    assert kinds.count("approval_requested") == 1
    grace = ModelRegistry(settings=world.settings, clock=world.clock, actor="grace")
    grace.approve(grace.get(world.model, "1.1.0"))
    world.serve_better()
    assert world.tick() is Outcome.PROMOTE
    assert (world.rollout.phase, world.deployment.champion) == (Phase.WATCH, "1.1.0")


def test_a_challenger_that_was_rejected_is_given_up(world: World) -> None:
    world.register("1.1.0")
    world.registry.publish_policies(world.model, {"gates": GatePolicy(approvers=("grace",))})
    world.reach(2)
    world.serve_better()
    world.tick()
    grace = ModelRegistry(settings=world.settings, clock=world.clock, actor="grace")
    grace.reject(grace.get(world.model, "1.1.0"), reason="which groups?")
    world.serve_better()
    with pytest.raises(ApprovalError, match="grace rejected it"):
        world.tick()
    assert (world.rollout.phase, world.deployment.champion) == (Phase.GIVEN_UP, "1.0.0")


def test_a_release_candidate_is_promoted_as_its_final_version(world: World) -> None:
    world.register("1.1.0-rc.1")
    world.reach(2)
    world.serve_better()
    assert world.tick() is Outcome.PROMOTE
    assert (world.deployment.champion, world.rollout.phase) == ("1.1.0", Phase.WATCH)
    world.serve_equal()
    world.serve_equal()
    assert world.tick() is Outcome.ADVANCE
    assert world.rollout.phase is Phase.PROMOTED
    assert world.tick() is None


# More than one controller


def test_a_decision_waiting_to_be_enacted_is_not_recorded_again(world: World) -> None:
    world.register("1.1.0")
    world.reach(1)
    world.serve_worse()
    first, second = world.controller.assess(world.model), world.controller.assess(world.model)
    assert first.outcome is Outcome.ROLLBACK
    assert first.id == second.id
    world.later(2 / 60)
    assert world.controller.assess(world.model).id > first.id  # nobody enacted it


@pytest.mark.parametrize("database", ["sqlite", "postgresql"], indirect=True)
@pytest.mark.parametrize(
    ("serve", "expected"),
    [
        ("serve_equal", [Outcome.ADVANCE]),
        ("serve_better", [Outcome.ADVANCE, Outcome.PROMOTE]),
        ("serve_worse", [Outcome.ROLLBACK]),
    ],
)
def test_many_controllers_at_once_make_each_step_once(
    world: World, reopen: Any, serve: str, expected: list[Outcome]
) -> None:
    world.register("1.1.0")
    world.reach(2 if serve == "serve_better" else 1)
    getattr(world, serve)()
    epoch = world.deployment.epoch

    def tick(_: int) -> None:
        other = reopen(world.home, world.clock.now(), database=world.settings.database_url)
        try:
            for _ in range(3):
                other.tick()
        finally:
            other.close()

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(tick, range(6)))
    assert world.deployment.epoch == epoch + 1
    outcomes = [d.outcome for d in world.rollouts.decisions(world.rollout.id) if d.outcome is not Outcome.HOLD]
    assert world.rollout.phase.ended or world.rollout.step == 2
    assert outcomes[1:] == expected


@pytest.mark.parametrize("database", ["sqlite", "postgresql"], indirect=True)
def test_two_rollouts_of_one_model_cannot_run(world: World) -> None:
    def start(challenger: str) -> None:
        world.rollouts.start(world.model, "1.0.0", challenger, RolloutPolicy(), epoch=1, at=world.clock.now())

    start("1.1.0")
    for phase in (Phase.SHADOW, Phase.CANARY, Phase.WATCH):
        world.rollouts.change(world.rollout.id, lambda seen, phase=phase: replace(seen, phase=phase))
        with pytest.raises(AlreadyRunningError, match=r"so 1\.2\.0 has to wait"):
            start("1.2.0")
    with pytest.raises(RolloutNotFoundError, match="no rollout 99"):
        world.rollouts.get(99)
    with pytest.raises(RolloutNotFoundError, match="no decision 99"):
        world.rollouts.decision(99)
