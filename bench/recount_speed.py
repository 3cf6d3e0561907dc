"""Counting the rows of the log in the bins of a version, ten features, streamed. `make bench`; nothing is asserted.

A Delta table of the log's own schema is written in days of a million rows, appended as the shipper does (the same rows
every day: they differ as much as those of a day do). Then a process of its own counts the first quarter, the first half
and all of it by `count_rows`, which `mlops drift --rows` calls: its memory is the largest it ever had, its cores are
the processor seconds it took, threads of Arrow included. Beside it, in turn, the limit: Arrow reads the same columns
with the same filter and nothing is counted.

    python bench/recount_speed.py --rows 5000000
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median

import numpy as np
import pyarrow as pa
from rich.console import Console
from rich.table import Table

from mlops_dagster.monitoring.drift.recount import count_rows
from mlops_dagster.predictions import PredictionLog
from mlops_dagster.predictions.log import columns
from mlops_dagster.predictions.log.delta import tables as delta
from mlops_dagster.predictions.log.names import predictions_table
from mlops_dagster.predictions.records import SERVED
from mlops_dagster.statistics import Bins, NumericBins

BLOCKS = 3
MODEL = "bench"
FEATURES = 10
A_DAY = 1_000_000
DAY = datetime(2026, 1, 1, tzinfo=UTC)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, default=5_000_000)
    parser.add_argument("--measure", nargs=3)  # by this program itself: folder, days, what
    arguments = parser.parse_args()
    if arguments.measure:
        folder, days, what = arguments.measure
        print(json.dumps(measure(PredictionLog(folder), int(days), what)))
        return
    table = Table("rows", "", "M values/s/core: min", "median", "max", "seconds: median", "memory, MB: max")
    with tempfile.TemporaryDirectory() as folder:
        days = max(arguments.rows // A_DAY, 1)
        fill(PredictionLog(folder), days)
        for part in sorted({max(days // 4, 1), max(days // 2, 1), days}):
            found: dict[str, list[dict[str, float]]] = {"counted": [], "limit: only read": []}
            for _ in range(BLOCKS):
                for what, results in found.items():
                    results.append(in_a_process(folder, part, what))
            for what, results in found.items():
                speeds = [each["values"] / each["cpu"] / 1e6 for each in results]
                table.add_row(
                    f"{part * A_DAY:,}",
                    what,
                    *(f"{pick(speeds):.1f}" for pick in (min, median, max)),
                    f"{median(each['seconds'] for each in results):.1f}",
                    f"{max(each['megabytes'] for each in results):,.0f}",
                )
        size = sum(file.stat().st_size for file in Path(folder).rglob("*.parquet"))
    Console(width=120).print(table, f"{FEATURES} features; {size / 1e9:.2f} GB of Parquet; {BLOCKS} blocks in turn")


def in_a_process(folder: str, days: int, what: str) -> dict[str, float]:
    command = [sys.executable, __file__, "--measure", folder, str(days), what]
    found: dict[str, float] = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    return found


def measure(log: PredictionLog, days: int, what: str) -> dict[str, float]:
    rng = np.random.default_rng(1)
    bins: dict[str, Bins] = {f"f{n}": NumericBins.fit(rng.normal(size=100_000)) for n in range(FEATURES)}
    next(log.batches(MODEL, DAY, DAY + timedelta(seconds=1), SERVED), None)  # what is imported on the way
    started, cpu = time.perf_counter(), time.process_time()
    until = DAY + timedelta(days=days)
    if what == "counted":
        rows = int(count_rows(log, MODEL, DAY, until, bins)["f0"].sum())
    else:
        wanted = {f"feature_{name}" for name in bins}
        rows = sum(batch.num_rows for batch in log.batches(MODEL, DAY, until, SERVED, wanted.__contains__))
    return {
        "values": rows * FEATURES,
        "cpu": time.process_time() - cpu,
        "seconds": time.perf_counter() - started,
        "megabytes": peak_megabytes(),
    }


def peak_megabytes() -> float:
    """`ru_maxrss` would begin with the memory of the process that started this one."""
    (peak,) = (line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
    return int(peak.split()[1]) / 1024


def fill(log: PredictionLog, days: int) -> None:
    """Values with two digits behind the point, as most measurements have."""
    rng = np.random.default_rng(0)
    at = log.place.table(predictions_table(MODEL))
    values = {f"feature_f{n}": pa.array(rng.normal(size=A_DAY).round(2)) for n in range(FEATURES)}
    texts = {"version": "1.0.0", "role": "champion", "status": "ok", "prediction": "late"}
    fixed = {name: pa.repeat(text, A_DAY) for name, text in texts.items()}
    for number in range(days):
        day = DAY + timedelta(days=number)
        times = np.linspace(0, 86_399_999_999, A_DAY).astype(np.int64) + int(day.timestamp() * 1e6)
        known = {
            **fixed,
            "event_time": pa.array(times).cast(columns.PREDICTIONS.field("event_time").type),
            "date": pa.repeat(pa.scalar(day.date()), A_DAY),
            "score": pa.array(rng.random(A_DAY)),
        }
        schema = columns.PREDICTIONS
        rows = pa.table([known.get(name, pa.nulls(A_DAY, schema.field(name).type)) for name in schema.names], schema)
        for name, column in values.items():
            rows = rows.append_column(name, column)
        delta.append(at, delta.open_or_create(at, schema), rows, {"bench": number + 1})


if __name__ == "__main__":
    main()
