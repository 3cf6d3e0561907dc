"""How long the hourly run of one model takes, from launch to materialized, Evidently's report included.

`dg launch` of the job `hourly_monitoring` for one hour, in processes of their own: interpreter, code location and run
begin from nothing each time. The home holds one model, the flights', and its predictions of the 24 hours before, which
have drifted. The clock starts before the process does and stops at the last materialization, as the event log stamps
it. Without report (MLOPS_REPORT_ROWS=0) the same run shows what Evidently's share is. Under the daemon, add the queue:
a few seconds.

    python bench/hourly_run.py [--predictions 10000] [--rounds 3]
"""

import argparse
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median

import dagster as dg
import numpy as np
from rich.console import Console
from rich.table import Table
from served import load_average
from sklearn.dummy import DummyClassifier

from flights.trainer import SCHEMA, recorded_traffic
from mlops_dagster.clock import ReplayedClock
from mlops_dagster.monitoring import make_baseline
from mlops_dagster.predictions import PredictionRecord
from mlops_dagster.registry import Stage
from mlops_dagster.settings import Settings
from mlops_dagster.stores import Stores

MODEL = "flights-delay"
ROOT = Path(__file__).parents[1]
END = datetime(2013, 3, 2, tzinfo=UTC)
HOUR = f"{END - timedelta(hours=1):%Y-%m-%d-%H:%M}"
LIMIT_SECONDS = 20


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--predictions", type=int, default=10_000, help="logged in the 24 hours that are judged")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    table = Table("hourly run of one model", "rounds", "min s", "median s", "max s", "of CPU, median s")
    with tempfile.TemporaryDirectory(prefix="mlops-bench-") as folder:
        dagster_home = Path(folder) / "dagster"
        dagster_home.mkdir()
        shutil.copy(ROOT / "mlops_dagster" / "dagster.yaml", dagster_home)
        make_home(Path(folder) / "home", options.predictions)
        environment = {
            **os.environ,
            "MLOPS_HOME": f"{folder}/home",
            "DAGSTER_HOME": str(dagster_home),
            "MLOPS_PARTITIONS_START": f"{END - timedelta(days=1):%Y-%m-%d}",
            "MLOPS_PARTITIONS_END": f"{END:%Y-%m-%d}",
        }
        for rows in (2_000, 0):
            launches = [launch({**environment, "MLOPS_REPORT_ROWS": str(rows)}, rows) for _ in range(options.rounds)]
            seconds, of_cpu = zip(*launches, strict=True)
            figures = (min(seconds), median(seconds), max(seconds), median(of_cpu))
            what = "with Evidently's report" if rows else "without it"
            table.add_row(what, str(options.rounds), *(f"{figure:.1f}" for figure in figures))
    Console(width=120).print(
        table, f"{options.predictions:,} predictions; promised: under {LIMIT_SECONDS} s; {load_average()}"
    )


def make_home(home: Path, predictions: int) -> None:
    """A champion with a baseline, and what it answered in the day before END."""
    stores = Stores(Settings(home=home), ReplayedClock(END - timedelta(days=1)), actor="bench")
    generator = np.random.default_rng(5)
    trained = recorded_traffic(datetime(2013, 1, 2, tzinfo=UTC), datetime(2013, 2, 1, tzinfo=UTC))
    labels = trained["label"].fillna("late").tolist()
    baseline = make_baseline(trained, SCHEMA, scores=generator.beta(1, 4, len(trained)), labels=labels)
    idle = DummyClassifier(strategy="prior").fit([[0]] * len(SCHEMA.task.truths), SCHEMA.task.truths)
    version = stores.registry.register(MODEL, idle, "1.0.0", schema=SCHEMA, baseline=baseline)
    stores.registry.transition(version, Stage.PRODUCTION, force=True, reason="bench")
    trained["distance"] *= 3  # an hour in which nothing moved has no page
    served = trained.sample(predictions, replace=True, random_state=5)[list(SCHEMA.names)].to_dict("records")
    stores.spool.append([a_record(number, predictions, features) for number, features in enumerate(served)])
    bins = {name: its.bins for name, its in {**baseline.features, "score": baseline.score}.items()}
    stores.local_rollups.catch_up(stores.spool, lambda _model, _version: bins)
    stores.log.ship(stores.spool)


def a_record(number: int, of: int, features: dict[str, float | str | None]) -> PredictionRecord:
    at = END - timedelta(days=1) + number * timedelta(days=1) / of
    return PredictionRecord(
        prediction_id=f"p{number}",
        request=f"p{number}",
        model=MODEL,
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
        features={name: None if value != value else value for name, value in features.items()},
        prediction="late" if number % 4 == 0 else "on_time",
        score=number % 97 / 97,
        latency_ms=3.0,
        process="bench",
        row=0,
    )


def launch(environment: dict[str, str], rows: int) -> tuple[float, float]:
    """The seconds from the start of the process to the last materialization of its run, and those of CPU until it ends.

    The CPU's are what matters where others use the machine too.
    """
    command = [Path(sys.executable).with_name("dg"), "launch", "--job", "hourly_monitoring", "--partition", HOUR]
    begun, spent = time.time(), cpu_of_children()
    found = subprocess.run(
        command, cwd=ROOT / "examples" / "flights", env=environment, capture_output=True, text=True, check=False
    )
    of_cpu = cpu_of_children() - spent
    if found.returncode:
        raise RuntimeError(found.stdout[-2000:] + found.stderr[-2000:])
    with dg.DagsterInstance.from_config(environment["DAGSTER_HOME"]) as instance:
        (run,) = instance.get_run_records(limit=1)
        logged = instance.all_logs(run.dagster_run.run_id, of_type=dg.DagsterEventType.ASSET_MATERIALIZATION)
    (report,) = [
        its.metadata
        for entry in logged
        if (its := entry.asset_materialization) and its.asset_key.path[-1] == "drift_report"
    ]
    if rows and not isinstance(report["evidently"], dg.PathMetadataValue):
        raise RuntimeError(f"there is no report: {report['evidently'].value}")
    return max(entry.timestamp for entry in logged) - begun, of_cpu


def cpu_of_children() -> float:
    its = resource.getrusage(resource.RUSAGE_CHILDREN)
    return its.ru_utime + its.ru_stime


if __name__ == "__main__":
    main()
