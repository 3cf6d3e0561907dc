"""A person instead of the evidence: each deed is in force at once, and is kept with actor and reason."""

from typing import Any

import pytest

from mlops_dagster.errors import EpochConflictError, IncompleteCardError, RefusedError, RolloutNotFoundError
from mlops_dagster.predictions import ArmEvents, Rollups
from mlops_dagster.registry import ModelCard, Stage
from mlops_dagster.rollout import Controller, Outcome, Phase

World = Any  # conftest's; test modules cannot import it in importlib mode


def told(world: World) -> tuple[str, str, str]:
    event = world.registry.history(world.model)[-1]
    return event.kind, event.actor, event.reason


@pytest.mark.parametrize("database", ["sqlite", "postgresql"], indirect=True)
def test_a_pause_and_its_end_are_events(world: World) -> None:
    world.register("1.1.0")
    world.reach(1)
    assert world.controller.pause(world.model, "a holiday").paused
    assert told(world) == ("paused", "test", "a holiday")
    world.serve_equal()
    assert (world.tick(), world.rollout.step) == (Outcome.HOLD, 1)
    assert not world.controller.resume(world.model, "back again").paused
    assert told(world) == ("resumed", "test", "back again")
    assert (world.tick(), world.rollout.step) == (Outcome.ADVANCE, 2)


@pytest.mark.parametrize("database", ["sqlite", "postgresql"], indirect=True)
def test_advancing_by_hand_goes_the_whole_way_without_evidence(world: World) -> None:
    world.register("1.1.0")
    world.tick()
    for step, weight in ((1, 0.2), (2, 0.5)):
        assert world.controller.advance(world.model, f"to {weight}").step == step
        assert world.deployment.canary_weight == weight
        assert told(world)[1:] == ("test", f"to {weight}")
    world.controller.pause(world.model, "wait")  # who hurries it by hand means it
    promoted = world.controller.advance(world.model, "I know it is good")
    assert (promoted.phase, world.deployment.champion) == (Phase.WATCH, "1.1.0")
    ended = world.controller.advance(world.model, "and it has been watched enough")
    assert (ended.phase, world.deployment.shadows) == (Phase.PROMOTED, ())
    assert world.tick() is None

    by_hand = [each for each in world.rollouts.decisions(promoted.id) if each.origin == "hand"]
    assert [each.outcome for each in by_hand] == [Outcome.ADVANCE, Outcome.ADVANCE, Outcome.PROMOTE, Outcome.ADVANCE]
    entered = next(event for event in world.registry.history(world.model) if event.reason == "I know it is good")
    assert entered.evidence["decision"] == by_hand[2].id
    assert not by_hand[2].test("paired.superior").proven  # kept as it was


def test_a_closed_gate_refuses_the_promotion_and_the_rollout_goes_on(world: World) -> None:
    world.register("1.1.0", card=ModelCard(intended_use="no more than that"))
    world.reach(2)
    before = world.deployment
    with pytest.raises(IncompleteCardError):
        world.controller.advance(world.model, "now")
    assert (world.deployment, world.rollout.phase) == (before, Phase.CANARY)


def test_what_is_proven_worse_is_not_advanced(world: World) -> None:
    world.register("1.1.0")
    world.reach(1)
    world.serve_worse()
    with pytest.raises(RefusedError, match=r"1\.1\.0 goes no further, it is proven worse"):
        world.controller.advance(world.model, "now")
    assert world.deployment.canary_weight == 0.2
    assert world.tick() is Outcome.ROLLBACK


class Disturbed(Rollups):
    """While the evidence is read, somebody changes the deployment."""

    world: World

    def events_since(self, *window: Any, **only: Any) -> list[list[ArmEvents]]:
        epoch = self.world.deployment.epoch
        self.world.registry.set_canary_weight(self.world.model, 0.1, expected_epoch=epoch, reason="slower")
        return super().events_since(*window, **only)


@pytest.mark.parametrize("database", ["sqlite", "postgresql"], indirect=True)
def test_of_two_people_the_quicker_one_wins(world: World) -> None:
    world.register("1.1.0")
    world.reach(1)
    rollups = Disturbed(f"sqlite:///{world.home}/rollups.sqlite")
    rollups.world = world
    controller = Controller(world.registry, world.rollouts, rollups, lambda _: world.rollout.policy, world.clock)
    with pytest.raises(EpochConflictError):
        controller.advance(world.model, "faster")
    assert world.deployment.canary_weight == 0.1
    rollups.close()


@pytest.mark.parametrize("database", ["sqlite", "postgresql"], indirect=True)
def test_abort_takes_the_challenger_out(world: World) -> None:
    version = world.register("1.1.0")
    world.reach(1)
    world.controller.pause(world.model, "what is this?")
    aborted = world.controller.abort(world.model, "wrong training data")
    assert (aborted.phase, aborted.reason) == (Phase.GIVEN_UP, "wrong training data")
    assert (world.stage("1.1.0"), world.deployment.canary) == (Stage.REGISTERED, None)
    assert not world.registry.get(world.model, version.version).rolled_back
    last = world.rollouts.last_decision(aborted.id)
    assert (last.outcome, last.origin, last.reason) == (Outcome.GIVE_UP, "hand", "wrong training data")
    assert world.tick() is None


@pytest.mark.parametrize("deed", ["pause", "resume", "advance", "abort"])
def test_without_a_running_rollout_there_is_nothing_to_do(world: World, deed: str) -> None:
    act = getattr(world.controller, deed)
    with pytest.raises(RolloutNotFoundError, match="no rollout of flights is running"):
        act(world.model, "r")
    version = world.register("1.1.0")
    world.reach(1)
    world.registry.withdraw(version, reason="fuse: errors")  # nobody has looked since
    if deed in ("advance", "abort"):
        with pytest.raises(RolloutNotFoundError, match="no rollout of flights is running"):
            act(world.model, "r")
        assert world.rollout.phase is Phase.ROLLED_BACK
