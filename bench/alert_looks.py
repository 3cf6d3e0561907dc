"""One look at the rules of a fleet. `make bench`; nothing is asserted.

Each model has a champion with a baseline of 11 features, traffic in every minute of a day and in the same hour a week
before, labels, a drift report, and the default alert policy. The first look has no watches yet, so that every rule of
every model is due; the following ones come 30 seconds apart, as the sensor `alerts` makes them.

    python bench/alert_looks.py --models 1000
"""

import argparse
import tempfile
import time
from datetime import timedelta
from pathlib import Path
from statistics import median

import numpy as np
from fleet_drift import BINS, DAY, END, filled
from rich.console import Console
from rich.table import Table
from sqlalchemy import create_engine, insert

from mlops_dagster.alerting import AlertPolicy
from mlops_dagster.clock import ReplayedClock
from mlops_dagster.loop.judging.findings import DRIFT, HourOfDrift
from mlops_dagster.loop.watching import Looked, look
from mlops_dagster.monitoring import DriftPolicy
from mlops_dagster.monitoring.drift.trailing import trailing_drift
from mlops_dagster.predictions.records import microseconds
from mlops_dagster.predictions.rollups.counting.tally import MINUTE
from mlops_dagster.predictions.rollups.tables import latencies, minutes
from mlops_dagster.settings import Settings
from mlops_dagster.stores import Stores

LOOKS = 20
EVERY = timedelta(seconds=30)
A_MINUTE = 60
"""Requests of each model."""


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--models", type=int, default=1000)
    count: int = parser.parse_args().models
    with tempfile.TemporaryDirectory() as folder:
        clock = ReplayedClock(DAY - timedelta(days=7))
        stores = Stores(Settings(home=Path(folder)), clock)
        models = filled(stores, count, 3600)
        _serve(stores, count)
        clock.advance_to(END)
        _publish(stores, models)
        table = Table("look", "rules judged", "CPU seconds", "ms a model")
        first, seconds = _timed(stores, clock)
        table.add_row("the first", f"{first.rules:,}", f"{seconds:.2f}", f"{1000 * seconds / count:.2f}")
        usual = []
        for _ in range(LOOKS):
            clock.advance_to(clock.now() + EVERY)
            usual.append(_timed(stores, clock))
        for name, pick in (("median of 20", median), ("slowest of 20", max)):
            rules, its = pick(found.rules for found, _ in usual), pick(seconds for _, seconds in usual)
            table.add_row(name, f"{rules:,.0f}", f"{its:.2f}", f"{1000 * its / count:.2f}")
        opened = sum(each.opened for each, _ in usual) + first.opened
        Console(width=120).print(table, f"{count:,} models, {len(BINS)} features; alerts opened: {opened}")


def _timed(stores: Stores, clock: ReplayedClock) -> tuple[Looked, float]:
    start = time.process_time()
    found = look(stores, clock.now())
    return found, time.process_time() - start


def _serve(stores: Stores, count: int) -> None:
    """Fill the minutes of a day, and of the last hour a week before and some minutes after it."""
    rng = np.random.default_rng(0)
    last, week = microseconds(END) // MINUTE, 7 * 24 * 60
    served = [*range(last - week - 60, last - week + 15), *range(last - 24 * 60, last + 15)]
    failed = rng.binomial(A_MINUTE, 0.001, len(served)).tolist()
    wrong = rng.binomial(A_MINUTE, 0.05, len(served)).tolist()
    names = ("slow", "bad_errors", "bad_slow", "failed_rows", "units", "unit_labels", "bad_wrong")
    engine = create_engine(stores.settings.local_rollups)
    with engine.begin() as connection:
        for arm in range(1, count + 1):
            connection.execute(
                insert(minutes),
                [
                    dict.fromkeys(names, 0)
                    | {"arm": arm, "minute": minute, "requests": A_MINUTE, "errors": bad, "rows": A_MINUTE}
                    | {"labelled": A_MINUTE, "wrong": errors, "first_error_at": None}
                    for minute, bad, errors in zip(served, failed, wrong, strict=True)
                ],
            )
            connection.execute(
                insert(latencies),
                [
                    {"arm": arm, "minute": minute, "bucket": bucket, "n": 3}
                    for minute in range(last - 60, last + 15)
                    for bucket in range(50, 70)
                ],
            )
    engine.dispose()


def _publish(stores: Stores, models: list[str]) -> None:
    found = trailing_drift(stores.registry, stores.rollups, models[0], END, DriftPolicy())
    assert found is not None
    policies = {"alerts": AlertPolicy().model_dump(mode="json")}
    for model in models:
        stores.registry.publish_policies(model, policies, location="bench")
        stores.reports.save(
            DRIFT, model, END - timedelta(hours=1), HourOfDrift(found.drift), verdict="stable", champion="1.0.0"
        )


if __name__ == "__main__":
    main()
