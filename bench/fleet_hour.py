"""The hourly run of a fleet in which nothing moves: seconds of the processor and of the clock, and the cost of a model.

One process loads the definitions and runs the job `hourly_monitoring` over all models, as a run that the schedule has
requested does, on Dagster's default SQLite. Each model has a champion, the counts of 24 hours and, with `--rows`, rows
of each judged hour in the log, which are validated. With `--hours 24` it is a day that is caught up. What Dagster's
storage of events takes is told apart. Nothing is asserted; the promise is ten minutes for 1,000 models on two cores.

    python bench/fleet_hour.py [--models 100] [--hours 1] [--rows 5]
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from datetime import timedelta
from pathlib import Path

from definitions_load import FILES, MODEL, ROOT
from fleet_drift import BINS, DAY, END, filled
from rich.console import Console
from rich.table import Table
from served import load_average

from mlops_dagster.clock import ReplayedClock
from mlops_dagster.predictions import PredictionRecord
from mlops_dagster.settings import Settings
from mlops_dagster.statistics import CategoricalBins
from mlops_dagster.stores import Stores

PROGRAM = """\
import json, resource, sys, time
import dagster as dg
from fleet_project.definitions import defs
job = defs().get_repository_def().get_job("hourly_monitoring")
found = {"loaded s": time.process_time()}
spent = {"events s": 0.0}

class Timed(type(dg.DagsterInstance.get())):
    def handle_new_event(self, *args, **kwargs):
        begun = time.process_time()
        super().handle_new_event(*args, **kwargs)
        spent["events s"] += time.process_time() - begun

instance = dg.DagsterInstance.get()
instance.__class__ = Timed
cpu, begun = time.process_time(), time.monotonic()
assert job.execute_in_process(instance=instance, tags=json.loads(sys.argv[1])).success
found |= {"run s": time.process_time() - cpu, "clock s": time.monotonic() - begun, **spent}
found["MB"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
print(json.dumps(found))
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", type=int, default=100)
    parser.add_argument("--hours", type=int, default=1, help="hours that the run makes, 24 at most")
    parser.add_argument("--rows", type=int, default=5, help="rows in the log for each model and judged hour")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="mlops-bench-") as folder:
        make_project(Path(folder), options.models)
        make_home(Path(folder) / "home", options.models, options.hours, options.rows)
        found = run(Path(folder), options.hours)
    table = Table("definitions s", "run s", "of that, Dagster's events s", "ms a model and hour", "clock s", "MB")
    of_each = 1000 * found["run s"] / options.models / options.hours
    figures = (found["loaded s"], found["run s"], found["events s"], of_each, found["clock s"], found["MB"])
    table.add_row(*(f"{figure:,.1f}" for figure in figures))
    title = f"{options.models:,} models, {options.hours} hours, {options.rows} rows; {load_average()}"
    Console(width=140).print(table, title)


def make_project(folder: Path, models: int) -> None:
    """A project with a YAML for each model, and a Dagster instance as `mlops dev` makes it."""
    yaml = MODEL.replace("{number}", "{number:04}")
    files = {f"fleet_project/defs/model_{each}/defs.yaml": yaml.format(number=each) for each in range(models)}
    for name, content in (FILES | files).items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(content)
    (folder / "dagster").mkdir()
    shutil.copy(ROOT / "mlops_dagster" / "dagster.yaml", folder / "dagster")


def make_home(home: Path, models: int, hours: int, rows: int) -> None:
    """The counts of a day, and the rows of its last hours, of models that serve what they were trained on."""
    stores = Stores(Settings(home=home), ReplayedClock(DAY - timedelta(days=7)), actor="bench")
    for model in filled(stores, models, 100):
        stores.spool.append([a_record(model, hour, row) for hour in range(24 - hours, 24) for row in range(rows)])
    stores.log.ship(stores.spool)
    stores.spool.close()


def a_record(model: str, hour: int, row: int) -> PredictionRecord:
    at = DAY + timedelta(hours=hour, minutes=row)
    features: dict[str, float | str | None] = {
        name: bins.categories[row % 30] if isinstance(bins, CategoricalBins) else 0.1 * row
        for name, bins in BINS.items()
    }
    return PredictionRecord(
        prediction_id=f"{model}-{hour}-{row}",
        request=f"{model}-{hour}-{row}",
        model=model,
        version="1.0.0",
        role="champion",
        weight=1.0,
        epoch=1,
        salt="",
        key=None,
        event_time=at,
        received_at=at,
        status="ok",
        error=None,
        features=features,
        prediction="on_time",
        score=0.2,
        latency_ms=3.0,
        process="bench",
        row=0,
    )


def run(folder: Path, hours: int) -> dict[str, float]:
    """Return the figures of one process that makes the reports of the last hours."""
    first, last = (f"{END - timedelta(hours=each):%Y-%m-%d-%H:%M}" for each in (hours, 1))
    tags = {"dagster/asset_partition_range_start": first, "dagster/asset_partition_range_end": last}
    environment = {
        **os.environ,
        "PYTHONPATH": f"{folder}:{ROOT}",
        "MLOPS_HOME": f"{folder}/home",
        "DAGSTER_HOME": f"{folder}/dagster",
    }
    ran = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", PROGRAM, json.dumps(tags)],
        cwd=folder,
        env=environment,
        check=False,
        capture_output=True,
        text=True,
    )
    if ran.returncode:
        raise RuntimeError(ran.stderr[-3000:])
    found: dict[str, float] = json.loads(ran.stdout.splitlines()[-1])
    return found


if __name__ == "__main__":
    main()
