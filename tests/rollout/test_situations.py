"""What becomes of a rollout when the world around it is not in order."""

from typing import Any

import pytest

from mlops_dagster.errors import RefusedError
from mlops_dagster.registry import Stage
from mlops_dagster.rollout import Outcome, Phase

World = Any  # conftest's; test modules cannot import it in importlib mode


# A version that the data plane cannot load


@pytest.mark.parametrize("paused", [False, True])
@pytest.mark.parametrize("step", [0, 1])
def test_a_challenger_that_will_not_load_is_withdrawn_with_the_reason(world: World, step: int, paused: bool) -> None:
    world.register("1.1.0")
    world.reach(step)
    if paused:
        world.controller.pause(world.model, "a holiday")
    world.registry.note_not_loaded(world.model, "1.1.0", why="no module named 'lightgbm'")
    with pytest.raises(RefusedError, match=r"1\.1\.0 goes no further, it is not loadable: no module named 'lightgbm'"):
        world.controller.advance(world.model, "now")
    assert world.controller.check_limits(world.model).outcome is Outcome.ROLLBACK
    assert world.tick() is Outcome.ROLLBACK
    version = world.registry.get(world.model, "1.1.0")
    assert (version.stage, version.rolled_back) == (Stage.DEPRECATED, True)
    assert (world.deployment.champion, world.deployment.canary, world.deployment.shadows) == ("1.0.0", None, ())
    assert (world.rollout.phase, world.rollout.reason) == (
        Phase.ROLLED_BACK,
        "not loadable: no module named 'lightgbm'",
    )
    assert world.tick() is None


@pytest.mark.parametrize("name", ["1.1.0", "1.1.0-rc.1"])
def test_a_new_champion_that_a_worker_cannot_load_in_its_watch_gives_way(world: World, name: str) -> None:
    world.register(name)
    world.promote()
    world.registry.note_not_loaded(world.model, "1.1.0", why="out of memory")
    assert world.tick() is Outcome.ROLLBACK
    assert (world.deployment.champion, world.deployment.shadows) == ("1.0.0", ())
    assert world.rollout.reason == "not loadable: out of memory"


def test_what_was_said_of_a_version_holds_until_it_moves_and_is_said_once(world: World) -> None:
    version = world.register("1.1.0")
    world.registry.note_not_loaded(world.model, "1.1.0", why="asked for by name")
    assert world.tick() is Outcome.HOLD, "since then it has come into shadow, and may load there"
    assert world.registry.why_not_loaded(world.model, "1.1.0") is None
    for why in ("first", "second"):
        world.registry.note_not_loaded(world.model, "1.1.0", why=why)
    assert world.registry.why_not_loaded(world.model, "1.1.0") == "first"
    world.registry.withdraw(version, reason="by hand")
    assert world.registry.why_not_loaded(world.model, "1.1.0") is None
    assert [event.kind for event in world.registry.history(world.model)].count("not_loaded") == 2
    assert world.registry.audit().events > 0


# A champion that is itself broken


def test_a_champion_that_fails_is_no_stain_on_the_canary_and_is_replaced(world: World) -> None:
    """The pairs are those that both could answer; the failures of the champion make none."""
    world.register("1.1.0")
    world.reach(2)
    world.serve(wins=40, losses=5, ties=155, champion_errors=100)
    assert world.tick() is Outcome.PROMOTE
    assert world.deployment.champion == "1.1.0"


def test_where_the_champion_answers_nothing_the_rollout_waits_and_a_person_decides(world: World) -> None:
    """Without one answer to compare with nothing is proven, either way: it says so, and holds."""
    world.register("1.1.0")
    world.reach(1)
    world.serve(champion_errors=300)
    assert world.tick() is Outcome.HOLD
    reason = world.rollouts.last_decision(world.rollout.id).reason
    assert reason == "step 1 of 2 (0.2): 20 more paired labels"
    world.controller.advance(world.model, "the champion is down")
    assert world.controller.advance(world.model, "the champion is down").phase is Phase.WATCH
    assert world.deployment.champion == "1.1.0"
    world.serve(ties=20, champion_errors=280)  # the old one is no better as a shadow
    assert world.tick() is Outcome.HOLD


def test_what_both_fail_on_is_no_fault_of_the_challenger_and_the_champion_is_told_of(world: World) -> None:
    """A broken home, or a request that nobody can answer, says nothing about which of the two is better."""
    world.register("1.1.0")
    world.reach(1)
    world.serve(both_fail=100, hours=0.1)
    assert world.tick() is Outcome.HOLD
    decision = world.rollouts.last_decision(world.rollout.id)
    assert decision.test("champion.over_limit").proven
    limit = decision.test("error.over_limit")
    assert (limit.observed["both_failed"], limit.observed["challenger_failed"]) == (100, 0)
    assert max(decision.test("error.worse").e_value, limit.e_value, decision.test("rollback.worse").e_value) < 1.5


def test_what_it_alone_fails_on_during_an_outage_of_both_is_still_found(world: World) -> None:
    world.register("1.1.0")
    world.reach(1)
    world.serve(both_fail=100, errors=12, ties=88, hours=0.1)
    assert world.tick() is Outcome.ROLLBACK
    assert "most by error.over_limit" in world.rollout.reason


# A pause


def test_a_pause_past_the_deadline_ends_nothing(world: World) -> None:
    """Time paused is not time watched: the deadline has moved by the holiday, and holds then as it ever did."""
    world.register("1.1.0")
    world.reach(1)
    world.controller.pause(world.model, "a long holiday")
    world.later(11)
    assert (world.tick(), world.rollout.phase) == (Outcome.HOLD, Phase.CANARY)
    world.controller.resume(world.model, "back")
    assert (world.tick(), world.rollout.phase) == (Outcome.HOLD, Phase.CANARY)
    world.later(10)
    assert world.tick() is Outcome.GIVE_UP
    assert world.rollout.reason.startswith("at the deadline")
    assert world.deployment.canary is None


def test_a_pause_counts_as_soak(world: World) -> None:
    world.register("1.1.0")
    world.reach(1)
    world.controller.pause(world.model, "wait")
    world.serve_equal()
    assert world.tick() is Outcome.HOLD
    world.controller.resume(world.model, "go on")
    assert (world.tick(), world.rollout.step) == (Outcome.ADVANCE, 2)


# Who only looks at the limits


@pytest.mark.parametrize("serve", ["serve_equal", "serve_better"])
def test_the_limits_alone_neither_start_nor_advance_nor_promote_anything(world: World, serve: str) -> None:
    world.register("1.1.0")
    assert world.controller.check_limits(world.model) is None
    assert (world.rollouts.list(), world.deployment.shadows) == ([], ())
    world.reach(2)
    getattr(world, serve)()
    before, decisions = world.rollout, world.rollouts.decisions(world.rollout.id)
    world.later(20)
    assert world.controller.check_limits(world.model) is None
    assert (world.rollout, world.rollouts.decisions(before.id)) == (before, decisions)


def test_the_limits_find_what_the_fuse_withdrew_and_what_a_person_took_out_is_left(world: World) -> None:
    version = world.register("1.1.0")
    world.reach(1)
    world.registry.withdraw(version, reason="fuse: errors")
    found = world.controller.check_limits(world.model)
    assert (found.outcome, found.origin, found.reason) == (Outcome.ROLLBACK, "deployment", "fuse: errors")
    assert world.controller.enact(found).phase is Phase.ROLLED_BACK
    assert world.controller.check_limits(world.model) is None
    version = world.register("1.2.0")
    world.reach(0)
    world.registry.transition(version, Stage.REGISTERED, reason="not now")
    assert world.controller.check_limits(world.model) is None
    assert world.tick() is Outcome.GIVE_UP
