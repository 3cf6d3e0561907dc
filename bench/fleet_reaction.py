"""From a canary that goes bad to zero traffic, in a fleet under the real `dagster dev`, with its work under way.

The end-to-end test of a hundred models at any size: 20 rollouts run, the hourly run of all models and a retraining are
under way, and one canary in twenty requests fails, first without the fuse (the sensor `limits` acts), then with it.
Beside it: the time until the sensors tick, the length of their ticks, and what Dagster's processes take. The promise is
90 s in all without the fuse, and 2 s from proof to zero traffic with it. Nothing is asserted.

    python bench/fleet_reaction.py [--models 1000]
"""

import argparse
import os
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

import psutil
from definitions_load import ROOT
from rich.console import Console
from rich.table import Table
from served import load_average

sys.path.insert(0, str(ROOT))
os.environ.setdefault("MLOPS_PARTITIONS_START", "2013-03-01")  # of the project, which names no first day

from mlops_dagster.registry import Stage
from mlops_dagster.settings import Settings
from mlops_dagster.stores import Stores
from tests.support.components.fleet import ROLLOUTS, fleet_files, make_fleet, names, work
from tests.support.components.orchestrated import Orchestrator, dagster_dev
from tests.support.components.reaction import MODEL, begin_rollout, react, register
from tests.support.serving.data_plane import ForkedServer

PATIENCE = 1800.0
"""Seconds in which `dagster dev`, and the runs, are to start."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", type=int, default=1000)
    models: int = parser.parse_args().models
    others, table = names(models), Table("what", "seconds")
    with tempfile.TemporaryDirectory(prefix="mlops-bench-") as folder:
        stores = Stores(Settings(home=Path(folder) / "home"), actor="bench")
        stores.registry.transition(register(stores, "1.0.0", unknown="ignore"), Stage.PRODUCTION)
        make_fleet(stores, others)
        (Path(folder) / "project").mkdir()
        begun = time.monotonic()
        with dagster_dev(
            Path(folder) / "project", stores.settings.home, fleet_files(others), seconds=PATIENCE
        ) as dagster:
            table.add_row("until the sensors tick", f"{time.monotonic() - begun:.1f}")
            for version, fuse in (("1.1.0", "false"), ("1.2.0", "true")):
                rollout = begin_rollout(stores, version)
                server = ForkedServer(stores.settings.home, seconds=PATIENCE, MLOPS_FUSE=fuse)
                try:
                    server.wait_ready(MODEL, version, seconds=PATIENCE)
                    work(dagster, others[-1], PATIENCE)
                    table.add_row(f"fuse {fuse}", str(react(stores, server, rollout)))
                finally:
                    server.stop()
            for sensor in ("limits", "rollouts", "retraining", "headline_floor"):
                table.add_row(f"median tick of {sensor}", tick(dagster, sensor))
            table.add_row("Dagster's processes: of CPU, GB", taken(dagster))
    Console(width=140).print(table, f"{models:,} models, {ROLLOUTS} rollouts; {load_average()}")


def tick(dagster: Orchestrator, sensor: str) -> str:
    seconds = [each.end_timestamp - each.timestamp for each in dagster.ticks(sensor) if each.end_timestamp]
    return f"{median(seconds):.2f} of {len(seconds)}" if seconds else "none"


def taken(dagster: Orchestrator) -> str:
    """Seconds of CPU, and resident memory, of all processes so far."""
    top = psutil.Process(dagster.process)
    alive = [top, *top.children(recursive=True)]
    spent = sum(sum(each.cpu_times()[:4]) for each in alive)
    return f"{spent:.0f}, {sum(each.memory_info().rss for each in alive) / 1e9:.1f}"


if __name__ == "__main__":
    main()
