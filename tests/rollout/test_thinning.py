"""Holds that say nothing new are not kept, and nothing is lost with them."""

from typing import Any

import pytest

from mlops_dagster.rollout import Outcome, collect, decide
from mlops_dagster.rollout.decide import highest

World = Any  # conftest's; test modules cannot import it in importlib mode


@pytest.fixture
def database() -> None:
    """In the home: what is kept is decided before any SQL."""


def outcomes(world: World) -> list[str]:
    return [each.outcome.value for each in world.rollouts.decisions(world.rollout.id)]


def test_a_hold_is_kept_once_an_hour_or_when_it_says_something_else(world: World) -> None:
    world.register("1.1.0")
    for _ in range(6):
        assert world.tick() is Outcome.HOLD  # until the shadow is over, and for 10 and 9 and 8 more requests
        world.serve(ties=1, hours=0.1)
    assert outcomes(world) == ["hold"]
    world.serve(ties=10, hours=0.1)
    world.tick()  # requests are there
    assert outcomes(world) == ["hold", "hold"]
    world.controller.pause(world.model, "r")
    world.tick()
    world.tick()
    assert outcomes(world) == ["hold", "hold", "hold"]
    world.later(0.9)
    world.tick()
    assert outcomes(world) == ["hold", "hold", "hold"]
    world.later(0.2)
    world.tick()
    assert outcomes(world) == ["hold", "hold", "hold", "hold"]


def test_no_peak_is_lost_with_a_hold_that_is_not_kept(world: World) -> None:
    world.register("1.1.0")
    world.reach(1)
    peaks = world.rollout.peaks
    for losses, ties in ((4, 0), (0, 60), (3, 0), (0, 30)):  # up and down, within the hour
        world.serve(losses=losses, ties=ties, hours=0.1)
        rollout, now = world.rollout, world.clock.now()
        look = decide(rollout.policy, rollout, collect(world.rollups, rollout, now), now)
        peaks = highest(peaks, {test.name: test.e_value for test in look.tests})
        assert world.tick() is Outcome.HOLD
        assert world.rollout.peaks == peaks
    kept = world.rollouts.decisions(world.rollout.id)[-1]
    assert kept.peaks != peaks
    assert len(outcomes(world)) < 6
