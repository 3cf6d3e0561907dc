"""The snapshot of the control room. `make bench`; nothing is asserted.

Each model has a champion with a baseline of 11 features, policies, drift reports, and 30 days of traffic and labels: of
100 models in every minute, of more in every tenth. One in ten has three versions and a rollout, and one in twenty an
open alert; these are on the first page, the dearest one. All rules were looked at once.

    python bench/board_snapshot.py --models 100
"""

import argparse
import tempfile
import time
from datetime import timedelta
from pathlib import Path
from statistics import median

from fleet_drift import DAY, END, filled
from pydantic_core import to_json
from rich.console import Console
from rich.table import Table
from sqlalchemy import TextClause, create_engine, text

from mlops_dagster.alerting import AlertPolicy, Rule, Severity
from mlops_dagster.board.snapshot import snapshot
from mlops_dagster.clock import ReplayedClock
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
    "WITH RECURSIVE minute(m) AS (SELECT :first UNION ALL SELECT m + :every FROM minute WHERE m + :every < :last)"
)
_COUNTED = (
    "INSERT INTO minutes SELECT arms.id, m, 60, abs(random()) % 500 < 1, 1, 0, 0, 60, 0, 50, 3, 60, 50, 3, NULL "
    "FROM arms, minute WHERE arms.role = :role"
)
_TIMED = (
    "INSERT INTO latencies SELECT arms.id, m, 60 + bucket, 7 FROM arms, minute, "
    "(SELECT 0 AS bucket UNION SELECT 3 UNION SELECT 6 UNION SELECT 9 UNION SELECT 12 UNION SELECT 20) "
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
    with tempfile.TemporaryDirectory() as folder:
        clock = ReplayedClock(DAY - timedelta(days=7))
        stores = Stores(Settings(home=Path(folder)), clock)
        models = filled(stores, count, 3600)
        challenged = _roll_out(stores, models[: count // 10])
        clock.advance_to(END)
        _serve(stores, challenged, every=1 if count <= 100 else 10)
        _judge(stores, models)
        pages = -(-count // ON_A_PAGE)
        table = Table("page", "first: seconds", "median of 10", "slowest of 10", "kB of JSON")
        for page in (1, pages):
            first, size = _timed(stores, page)
            seconds = [_timed(stores, page)[0] for _ in range(TIMES)]
            table.add_row(
                f"{page} of {pages}",
                f"{first:.3f}",
                f"{median(seconds):.3f}",
                f"{max(seconds):.3f}",
                f"{size / 1e3:.0f}",
            )
        Console(width=120).print(table, f"{count:,} models, CPU seconds")


def _timed(stores: Stores, page: int) -> tuple[float, int]:
    start = time.process_time()
    found = snapshot(stores, END, page=page)
    seconds = time.process_time() - start
    document = to_json(found)
    assert b'"unavailable":"t' not in document
    return seconds, len(document)


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
    engine = create_engine(stores.settings.local_rollups)
    with engine.begin() as connection:
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
