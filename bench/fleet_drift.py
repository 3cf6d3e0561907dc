"""The hourly drift of a fleet, from the rollups. `make bench`; nothing is asserted.

Each model has a champion with a baseline of 11 features (nine numbers in 200 cells, two categories of 30) and 24 hours
of counts; for each the report of an hour asks who was champion then, adds the counts of the trailing 24 hours and holds
them against the baseline, as the asset `drift_report` does. Quiet models answered a hundred requests an hour, busy ones
a million: the same rows of counts. Beside it what cannot be left out: to read those bytes from the database, which is
the physical limit.

    python bench/fleet_drift.py --models 1000
"""

import argparse
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median

import numpy as np
from rich.console import Console
from rich.table import Table
from sqlalchemy import create_engine, insert, text

from mlops_dagster.clock import ReplayedClock
from mlops_dagster.database import open_database
from mlops_dagster.monitoring import DriftPolicy
from mlops_dagster.monitoring.drift.trailing import trailing_drift
from mlops_dagster.predictions.records import microseconds
from mlops_dagster.predictions.rollups.counting.addition import digest_of
from mlops_dagster.predictions.rollups.counting.tally import HOUR
from mlops_dagster.predictions.rollups.tables import CELL_TYPE, arms, cells
from mlops_dagster.registry import (
    Baseline,
    EvaluationSlice,
    FairnessAudit,
    ModelCard,
    Provenance,
    Stage,
    Validation,
)
from mlops_dagster.settings import Settings
from mlops_dagster.statistics import Bins, CategoricalBins, Histogram, NumericBins
from mlops_dagster.stores import Stores
from mlops_dagster.tasks.classification import SCORE_BINS

BLOCKS = 5
HOURS = 24
DAY = datetime(2026, 1, 1, tzinfo=UTC)
END = DAY + timedelta(days=1)
EDGES = NumericBins(tuple(np.linspace(-3, 3, 199).tolist()))
BINS: dict[str, Bins] = {f"number_{column}": EDGES for column in range(9)} | {
    name: CategoricalBins(tuple(f"A{number:02}" for number in range(30))) for name in ("carrier", "origin")
}
CARD = ModelCard(
    provenance=Provenance(dataset="d", digest="ab", start=DAY, end=DAY, rows=1),
    evaluation=(EvaluationSlice(name="overall", rows=1, metrics={"micro_f1": 1, "macro_f1": 1, "accuracy": 1}),),
    intended_use="Benchmark.",
    failure_modes=("none",),
    fairness=FairnessAudit(attribute="a", groups={"x": {"accuracy": 1}}, max_gap=0),
    validation=Validation(suite="schema", expectations=3, rows=10, passed=True),
)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--models", type=int, default=1000)
    count: int = parser.parse_args().models
    table = Table("traffic", "what", "seconds: min", "median", "max")
    for traffic, rows in (("quiet", 100), ("busy", 1_000_000)):
        with tempfile.TemporaryDirectory() as folder:
            stores = Stores(Settings(home=Path(folder)), ReplayedClock(DAY - timedelta(days=7)))
            models = filled(stores, count, rows)
            drift_of_all(stores, models[:1])
            taken = [timed(lambda stores=stores, models=models: drift_of_all(stores, models)) for _ in range(BLOCKS)]
            raw = [timed(lambda stores=stores: read_bytes(stores)) for _ in range(BLOCKS)]
            for what, seconds in (("drift of all", taken), ("reading the counts", raw)):
                table.add_row(traffic, what, *(f"{pick(seconds):.2f}" for pick in (min, median, max)))
    Console(width=120).print(table, f"{count:,} models, {HOURS} hours, {len(BINS)} features and the score")


def drift_of_all(stores: Stores, models: list[str]) -> Counter[str]:
    found: Counter[str] = Counter()
    for model in models:
        report = trailing_drift(stores.registry, stores.rollups, model, END, DriftPolicy())
        assert report is not None
        found[report.drift.verdict] += 1
    assert found.total() == found["stable"], found
    return found


def read_bytes(stores: Stores) -> int:
    engine = create_engine(stores.settings.local_rollups)
    with engine.connect() as connection:
        read = sum(len(counts) for (counts,) in connection.execute(text("SELECT counts FROM cells")))
    engine.dispose()
    return read


def filled(stores: Stores, count: int, rows: int) -> list[str]:
    """Models that serve what they were trained on."""
    rng = np.random.default_rng(0)
    shares = {name: rng.dirichlet([5.0] * (bins.size - 2)) for name, bins in {**BINS, "score": SCORE_BINS}.items()}

    def counted(name: str, of: int) -> list[int]:
        known = rng.multinomial(of, shares[name])
        bins = {**BINS, "score": SCORE_BINS}[name]
        return [0, *known.tolist(), *([0] * (bins.size - 1 - len(known)))]

    baseline = Baseline(
        {name: Histogram(bins, np.array(counted(name, 50_000))) for name, bins in BINS.items()},
        Histogram(SCORE_BINS, np.array(counted("score", 50_000))),
        Histogram(CategoricalBins(("on_time", "late")), np.array([0, 40_000, 10_000, 0])),
    )
    artifact = stores.settings.home / "model.onnx"
    artifact.write_text("weights")
    models = [f"model-{number:04}" for number in range(count)]
    for model in models:
        version = stores.registry.register(model, artifact, "1.0.0", card=CARD, baseline=baseline)
        stores.registry.transition(version, Stage.PRODUCTION)
    stores.rollups.first_at(models[0])  # the tables are made
    first = microseconds(DAY) // HOUR
    hours = [
        {name: np.array(counted(name, rows), dtype=CELL_TYPE).tobytes() for name in (*BINS, "score")}
        for _ in range(HOURS)
    ]
    engine = open_database(stores.settings.shared_rollups or stores.settings.local_rollups)
    with engine.begin() as connection:
        for model in models:
            its = {"model": model, "version": "1.0.0", "role": "champion", "weight": 1.0}
            arm = connection.scalar(insert(arms).values(its).returning(arms.c.id))
            connection.execute(
                insert(cells),
                [
                    {"arm": arm, "hour": first + hour, "feature": name, "bins": digest_of(bins), "counts": of[name]}
                    for hour, of in enumerate(hours)
                    for name, bins in {**BINS, "score": SCORE_BINS}.items()
                ],
            )
    engine.dispose()
    return models


def timed(call: Callable[[], object]) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
