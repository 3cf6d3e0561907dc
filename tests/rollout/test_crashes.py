"""Killed at any line of the controller, a rollout ends up where it would have without."""

import shutil
import sqlite3
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

from mlops_dagster.rollout import controller

pytestmark = pytest.mark.slow

World = Any  # conftest's; test modules cannot import it in importlib mode

BEFORE = {
    "start": lambda _: None,
    "into canary": lambda world: (world.reach(0), world.serve_equal()),
    "next step": lambda world: (world.reach(1), world.serve_equal()),
    "promotion": lambda world: (world.reach(2), world.serve_better()),
    "rollback": lambda world: (world.reach(1), world.serve_worse()),
    "giving up": lambda world: (world.reach(1), world.later(10)),
    "end of the watch": lambda world: (world.promote(), world.serve_equal(), world.serve_equal()),
    "rollback in the watch": lambda world: (world.promote(), world.serve_worse()),
    "another champion in the watch": lambda world: (
        world.promote(),
        world.registry.transition(world.register("1.2.0"), "Production"),
    ),
    "after the fuse": lambda world: (
        world.reach(1),
        world.registry.withdraw(world.registry.get(world.model, "1.1.0"), reason="fuse"),
    ),
    "after the champion's fall": lambda world: (
        world.reach(0),
        world.registry.transition(world.register("1.2.0"), "Production"),
    ),
}


ACTS: dict[str, Callable[[World], object]] = {
    "tick": lambda world: world.tick(),
    "advance": lambda world: world.controller.advance(world.model, "by hand"),
    "abort": lambda world: world.controller.abort(world.model, "by hand"),
}


class Killed(BaseException):
    """No handler catches this, as none would catch a kill."""


@pytest.fixture
def database() -> None:
    """In the home: there another connection sees, line by line, whether anything was written."""


@contextmanager
def at_each_line(act: Callable[[int], None]) -> Iterator[None]:
    """Call `act(n)` when the controller is about to run its n-th line."""
    line = 0

    def trace(frame: FrameType, event: str, _: object) -> Any:
        nonlocal line
        if frame.f_code.co_filename != controller.__file__:
            return None
        if event == "line":
            line += 1
            act(line)
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        yield
    finally:
        sys.settrace(before)


def undisturbed(victim: World, act: str = "tick") -> list[int]:
    """One tick (or deed by hand); the lines to be killed at: the first, and each that finds the database changed.

    Between two writes nothing outlives the process, so to be killed at any line is to be killed at one of these.
    """
    lines, seen = [1], None
    with closing(sqlite3.connect(victim.home / "mlops.sqlite")) as observer:

        def look(line: int) -> None:
            nonlocal seen
            (version,) = observer.execute("PRAGMA data_version").fetchone()
            if seen not in (None, version):
                lines.append(line)
            seen = version

        with at_each_line(look):
            ACTS[act](victim)
    return lines


def killed(victim: World, at: int, act: str = "tick") -> None:
    """One tick (or deed by hand) that is killed at that line."""

    def kill(line: int) -> None:
        if line == at:
            raise Killed

    with pytest.raises(Killed), at_each_line(kill):
        ACTS[act](victim)


@pytest.mark.parametrize("situation", BEFORE)
def test_killed_at_any_line(world: World, reopen: Any, tmp_path_factory: Any, situation: str) -> None:
    world.register("1.1.0")
    BEFORE[situation](world)
    now = world.clock.now()
    world.close()
    homes = tmp_path_factory.mktemp("homes")

    def copy(name: str) -> World:
        return reopen(Path(shutil.copytree(world.home, homes / name)), now)

    victim = copy("undisturbed")
    lines = undisturbed(victim)
    expected = in_the_end(victim)
    assert len(lines) > 2
    for line in lines:
        victim = copy(f"killed-{line}")
        killed(victim, line)
        victim.close()
        assert in_the_end(reopen(victim.home, now)) == expected, f"killed at line {line} of {lines}"


@pytest.mark.parametrize("act", ["advance", "abort"])
def test_a_deed_by_hand_is_done_or_not(world: World, reopen: Any, tmp_path_factory: Any, act: str) -> None:
    """Killed at any line, the rollout is where it was or where it was to go, and row and deployment agree."""
    world.register("1.1.0")
    world.reach(1)
    now = world.clock.now()
    world.close()
    homes = tmp_path_factory.mktemp("homes")

    def copy(name: str) -> World:
        return reopen(Path(shutil.copytree(world.home, homes / name)), now)

    def stands(successor: World) -> object:
        successor.tick()
        seen = successor.rollout.phase, successor.rollout.weight, successor.deployment.canary_weight
        successor.close()
        return seen

    not_done = stands(copy("not-done"))
    victim = copy("done")
    lines = undisturbed(victim, act)
    done = stands(victim)
    found = []
    for line in lines:
        victim = copy(f"killed-{line}")
        killed(victim, line, act)
        victim.close()
        found.append(stands(reopen(victim.home, now)))
    assert done != not_done
    assert (found[0], found[-1]) == (not_done, done)
    assert set(found) == {not_done, done}


def in_the_end(successor: World) -> object:
    """What two more ticks make of it."""
    successor.tick()
    successor.tick()
    moves = [
        (event.version, event.kind, event.to_stage, event.deployment.canary_weight)
        for event in successor.registry.history(successor.model)
    ]
    rollout = successor.rollout
    outcomes = [d.outcome for d in successor.rollouts.decisions(rollout.id) if d.outcome != "hold"]
    deployment = successor.deployment
    successor.close()
    return deployment, rollout, moves, outcomes
