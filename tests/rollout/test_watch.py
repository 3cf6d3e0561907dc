"""After the promotion: the old champion watches, and everything that may happen meanwhile."""

from pathlib import Path
from typing import Any

import pytest

from mlops_dagster.alerting import Alerts
from mlops_dagster.predictions import BothScored, EventCounts, PairedCounts
from mlops_dagster.registry import Stage
from mlops_dagster.rollout import Decision, Outcome, Phase, Rollout, collect
from mlops_dagster.rollout.alerts.watch import tell_watch

World = Any  # conftest's; test modules cannot import it in importlib mode


@pytest.fixture
def watched(world: World) -> World:
    """1.1.0 in place of 1.0.0, since now."""
    world.register("1.1.0")
    world.promote()
    return world


def test_the_old_champion_scores_what_the_new_one_answers(watched: World) -> None:
    before = collect(watched.rollups, watched.rollout, watched.clock.now())
    rollout, deployment = watched.rollout, watched.deployment
    assert (rollout.phase, rollout.weight, rollout.promoted_at) == (Phase.WATCH, 1.0, watched.clock.now())
    assert (deployment.champion, deployment.shadows, deployment.previous) == ("1.1.0", ("1.0.0",), "1.0.0")
    assert watched.stage("1.0.0") is Stage.SHADOW
    watched.serve(wins=3, losses=1, ties=40, errors=2)
    seen = collect(watched.rollups, watched.rollout, watched.clock.now())
    assert (seen.watch.requests, seen.watch.errors, seen.challenger) == (46, 2, before.challenger + seen.watch)
    assert (seen.steps, seen.shadow) == (before.steps, before.shadow)
    since = PairedCounts(wins=3, losses=1, ties=40)
    assert (seen.labels.watch, seen.labels.step) == ({"late": since}, 44)
    assert seen.labels.paired == before.labels.paired + since
    assert seen.since[0].both == before.since[0].both + BothScored(46, challenger_failed=2)


def test_labels_of_requests_from_before_the_promotion_still_count(world: World) -> None:
    world.register("1.1.0")
    world.reach(2)
    world.serve(losses=7, ties=3, labelled=False)
    late = world._unlabelled[:]
    world._unlabelled.clear()
    world.serve_better()
    assert world.tick() is Outcome.PROMOTE
    before = collect(world.rollups, world.rollout, world.clock.now())
    world._unlabelled += late
    world.label()
    world.later(0.1)
    after = collect(world.rollups, world.rollout, world.clock.now())
    assert after.labels.paired == before.labels.paired + PairedCounts(losses=7, ties=3)
    assert (after.labels.watch, after.watch) == ({}, EventCounts())


@pytest.mark.parametrize("database", ["sqlite", "postgresql"], indirect=True)
@pytest.mark.parametrize("name", ["1.1.0", "1.1.0-rc.1"])
def test_a_promotion_that_turns_out_bad_is_rolled_back(world: World, name: str) -> None:
    world.register(name)
    world.promote()
    world.serve_worse()
    assert world.tick() is Outcome.ROLLBACK
    assert (world.deployment.champion, world.deployment.shadows, world.stage("1.0.0")) == ("1.0.0", (), "Production")
    bad = world.registry.get(world.model, "1.1.0")
    assert (bad.stage, bad.rolled_back) == (Stage.DEPRECATED, True)
    assert world.rollout.phase is Phase.ROLLED_BACK
    assert "paired.worse_in_watch" in world.rollout.reason
    event = next(event for event in world.registry.history(world.model) if event.kind == "rollback")
    assert event.evidence["decision"] == world.rollouts.last_decision(world.rollout.id).id
    assert world.tick() is None


def test_one_that_fails_is_rolled_back_before_any_label(watched: World) -> None:
    watched.serve(errors=10, ties=40, hours=0.1, labelled=False)
    assert watched.tick() is Outcome.ROLLBACK
    assert "most by error.over_limit" in watched.rollout.reason


def test_a_paused_watch_does_not_end_but_rolls_back(watched: World) -> None:
    watched.rollouts.pause(watched.model, watched.clock.now())
    watched.serve_equal()
    watched.serve_equal()
    assert (watched.tick(), watched.deployment.shadows) == (Outcome.HOLD, ("1.0.0",))
    watched.serve_worse()
    assert watched.tick() is Outcome.ROLLBACK


def test_without_watch_hours_the_promotion_is_the_end(world: World, tmp_path: Path) -> None:
    policy = world.policy.model_copy(update={"bake_hours": 0})
    (tmp_path / "none").mkdir()
    other = type(world)(tmp_path / "none", policy=policy)
    other.champion()
    other.register("1.1.0")
    other.promote()
    assert (other.rollout.phase, other.deployment.shadows) == (Phase.PROMOTED, ())
    assert (other.stage("1.0.0"), other.rollout.promoted_at) == (Stage.DEPRECATED, other.clock.now())
    other.close()


def test_a_watch_that_saw_nothing_is_told_and_goes_on_as_long_as_a_rollout_may(watched: World) -> None:
    alerts = Alerts(watched.settings.database, watched.clock)

    def look() -> Decision:
        decision: Decision = watched.controller.tick(watched.model)
        tell_watch(alerts, watched.model, decision)
        return decision

    watched.later(1)
    assert look().outcome is Outcome.HOLD
    assert alerts.list() == []
    watched.later(2)
    assert "the watch goes on until" in look().reason
    (alert,) = alerts.list()
    assert (alert.rule, alert.done) == ("watch_inconclusive", "the old champion goes on as a shadow")
    watched.serve(ties=4, hours=0.1)
    assert "for 1 more requests to the new champion" in look().reason
    watched.serve(ties=1, hours=0.1)
    assert look().reason.startswith("the watch is over: nothing is proven against it in 5 requests and 5 paired labels")
    assert (watched.rollout.phase, alerts.list()) == (Phase.PROMOTED, [])
    alerts.close()


def test_a_watch_without_any_evidence_ends_inconclusive(watched: World) -> None:
    alerts = Alerts(watched.settings.database, watched.clock)
    watched.later(10)
    decision = watched.controller.tick(watched.model)
    tell_watch(alerts, watched.model, decision)
    assert decision.outcome is Outcome.ADVANCE
    assert "ends inconclusive for want of 5 more requests to the new champion and the first paired" in decision.reason
    assert [alert.done for alert in alerts.list()] == ["the watch has ended"]
    alerts.close()


def test_a_newer_version_waits_until_the_watch_is_over(watched: World) -> None:
    watched.register("1.2.0")
    watched.serve_equal()
    assert watched.tick() is Outcome.HOLD
    assert (watched.rollout.challenger, watched.deployment.shadows) == ("1.1.0", ("1.0.0",))
    watched.serve_equal()
    assert watched.tick() is Outcome.ADVANCE
    assert watched.tick() is Outcome.HOLD
    assert (watched.rollout.champion, watched.rollout.challenger) == ("1.1.0", "1.2.0")
    assert watched.deployment.shadows == ("1.2.0",)


# What a person does meanwhile: how the rollout ends, and who is champion then. Nobody stays behind as a shadow.

BY_HAND = {
    "rolls it back": (
        lambda world: world.registry.rollback(world.model, reason="customers complain"),
        (Phase.ROLLED_BACK, "customers complain", "1.0.0"),
    ),
    "rolls it back to an older one": (
        lambda world: world.registry.rollback(world.model, reason="both are bad", to="0.9.0"),
        (Phase.ROLLED_BACK, "both are bad", "0.9.0"),
    ),
    "promotes another": (
        lambda world: world.registry.transition(world.register("1.2.0"), "Production"),
        (Phase.PROMOTED, "the champion is 1.2.0 now, before the watch was over", "1.2.0"),
    ),
    "promotes the old one again": (
        lambda world: world.registry.transition(world.registry.get(world.model, "1.0.0"), "Production", reason="so"),
        (Phase.GIVEN_UP, "replaced by 1.0.0: so", "1.0.0"),
    ),
    "takes the old one out": (
        lambda world: world.registry.transition(world.registry.get(world.model, "1.0.0"), "Deprecated"),
        (Phase.PROMOTED, "proven superior", "1.1.0"),
    ),
    "aborts": (
        lambda world: world.controller.abort(world.model, "it costs too much"),
        (Phase.PROMOTED, "proven superior", "1.1.0"),
    ),
}


@pytest.mark.parametrize("deed", BY_HAND)
def test_what_a_person_does_ends_the_watch(world: World, deed: str) -> None:
    world.champion("0.9.0")
    world.registry.transition(world.registry.get(world.model, "1.0.0"), "Shadow")
    world.registry.transition(world.registry.get(world.model, "1.0.0"), "Production")
    world.register("1.1.0")
    world.promote()
    act, (phase, reason, champion) = BY_HAND[deed]
    act(world)
    last = world.rollouts.last_decision(world.rollout.id)
    for _ in range(2):
        world.tick()
    rollout: Rollout = world.rollouts.list(world.model)[0]
    assert (rollout.phase, rollout.reason.startswith(reason)) == (phase, True), rollout.reason
    assert (world.deployment.champion, "1.0.0" in world.deployment.shadows) == (champion, False)
    assert world.rollouts.active(world.model) is None
    noticed = [decision for decision in world.rollouts.decisions(rollout.id) if decision.id > last.id]
    assert [decision.origin for decision in noticed] == ([] if deed == "aborts" else ["deployment"])
