"""A small world: the real registry, spool and rollups on disk, and requests that win, lose or fail as told."""

from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path

import pytest

from mlops_dagster.rollout import RolloutPolicy
from tests.support.rollout_world import POLICY, World


@pytest.fixture
def database(request: pytest.FixtureRequest) -> str | None:
    """Where registry and rollouts are; None for the home. What uses other statements than most is run on both."""
    on = getattr(request, "param", "sqlite")
    return None if on == "sqlite" else str(request.getfixturevalue("postgresql"))


@pytest.fixture
def world(tmp_path: Path, database: str | None) -> Iterator[World]:
    """With the champion 1.0.0."""
    world = World(tmp_path, database=database)
    world.champion()
    yield world
    world.close()


@pytest.fixture
def reopen() -> Callable[[Path, datetime], World]:
    """Open a home (a copy of one, or the same again) as another process would."""
    return World


@pytest.fixture
def world_of(tmp_path: Path) -> Iterator[Callable[..., World]]:
    """Makes the world of a policy that differs in this, its newest version, 1.1.0, at a step."""
    made: list[World] = []

    def world_of(step: int = 1, **changes: object) -> World:
        policy = RolloutPolicy.model_validate(POLICY.model_dump() | changes)
        world = World(tmp_path, policy=policy)
        made.append(world)
        world.champion()
        world.register("1.1.0")
        world.reach(step)
        return world

    yield world_of
    for world in made:
        world.close()
