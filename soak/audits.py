"""Audits between any two of whose reads replicas answer, ship, die, compact and erase, in one order after another."""

import itertools
import tempfile
import time
from pathlib import Path

from tests.support.predictions.audit_world import World, audit_under_traffic


def attack(seconds: float) -> None:
    """Raise AssertionError for an audit that finds a loss where there is none; the tests have the first seeds."""
    end, acts = time.monotonic() + seconds, 0
    for seed in itertools.count():
        with tempfile.TemporaryDirectory() as folder:
            world = World(Path(folder, "world"), seed)
            try:
                audit_under_traffic(world)
            except BaseException as error:
                error.add_note(f"seed {seed}")
                raise
            finally:
                world.close()
        acts += len(world.done)
        if time.monotonic() > end:
            break
    print(f"{12 * (seed + 1):,} audits of two replicas, {acts:,} acts between their reads, no false loss")
