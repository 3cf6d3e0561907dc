"""Evidence is counted where it belongs: by arm, by step, and by the versions compared."""

from datetime import timedelta
from typing import Any

from mlops_dagster.predictions import BothScored, EventCounts, PairedCounts
from mlops_dagster.registry import Stage
from mlops_dagster.rollout import collect

World = Any  # conftest's; test modules cannot import it in importlib mode


def test_every_request_counts_once_in_the_step_it_was_routed_in(world: World) -> None:
    world.register("1.1.0")
    world.reach(0)
    world.serve(ties=30, wins=3)
    world.tick()
    world.serve(ties=100)
    world.tick()
    assert world.rollout.step == 2
    world.registry.transition(world.register("1.2.0"), Stage.SHADOW)  # no part of this comparison
    world.serve(ties=80, losses=20)

    seen = collect(world.rollups, world.rollout, world.clock.now())
    shares = [(step.weight, step.canary.requests, step.champion.requests) for step in seen.steps]
    assert shares == [(0.2, 20, 80), (0.5, 50, 50)]
    assert seen.shadow.requests == 33 + 80 + 50  # the shadow, then whatever the champion answered
    assert seen.since[0].both == BothScored(requests=233)
    assert seen.labels.since[0].outcomes == {"late": PairedCounts(wins=3, losses=20, ties=210)}
    assert (seen.labels.step, seen.labels.units, seen.labels.labelled, seen.labels.watch) == (100, 233, 233, None)
    assert seen.labels.days == (PairedCounts(wins=3, losses=20, ties=210),)
    assert (seen.canary_at(0.5).requests, seen.canary_at(0.3)) == (50, EventCounts())
    wrong = seen.challenger.wrong, seen.champion.wrong
    assert wrong == (20, 0)


def test_what_is_not_yet_known_is_not_counted(world: World) -> None:
    world.register("1.1.0")
    world.reach(1)
    before = collect(world.rollups, world.rollout, world.clock.now())
    began = world.clock.now()
    world.serve(ties=40, errors=10)
    assert collect(world.rollups, world.rollout, began) == before
    soon = collect(world.rollups, world.rollout, began + timedelta(minutes=1))
    assert (soon.challenger.errors, soon.since[0].both.challenger_failed) == (10, 10)
    assert soon.labels.paired.total == before.labels.paired.total + 40  # a failed scoring makes no pair
    assert soon.labels.units == before.labels.units + 40


def test_what_waits_for_a_label_is_told(world: World) -> None:
    world.register("1.1.0")
    world.reach(1)
    world.serve(ties=100)
    seen = collect(world.rollups, world.rollout, world.clock.now())
    assert (seen.pairs_without_label, seen.canary.unlabelled, seen.champion_beside.labelled) == (0, 0, 20)
    world.serve(ties=100, labelled=False)
    seen = collect(world.rollups, world.rollout, world.clock.now())
    assert (seen.pairs_without_label, seen.canary.unlabelled, seen.champion.unlabelled) == (100, 20, 80)
    assert (seen.labels.units, seen.labels.labelled, seen.labels.share) == (300, 200, 2 / 3)
    assert seen.labels.paired.total == 200
