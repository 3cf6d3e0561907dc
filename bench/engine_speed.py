"""A day of predictions with late labels: joined and counted for its report, by the engine. Nothing is asserted.

A process of its own counts the day as `judge_days` does: by version, class and hour, in the slices of a card, and in
the groups of each feature of a baseline. Memory is the largest that this process ever had (Spark's is another one's).

    python -m bench.engine_speed --rows 10000000
    python -m bench.engine_speed --rows 10000000 --engine sc://127.0.0.1:50051
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from datetime import timedelta
from pathlib import Path

import numpy as np

from bench.made_log import CARRIERS, DAY, MODEL, NUMBERS, fill
from bench.recount_speed import peak_megabytes
from mlops_dagster.monitoring.concept.outcomes import day_of_answers, parts_of
from mlops_dagster.monitoring.performance import performance
from mlops_dagster.predictions import PredictionLog, open_engine
from mlops_dagster.registry import Baseline
from mlops_dagster.statistics import CategoricalBins, Histogram, NumericBins

SLICES = [f"carrier={carrier}" for carrier in CARRIERS]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--engine")
    parser.add_argument("--log", type=Path, help="a folder to keep the made log in")
    parser.add_argument("--measure", action="store_true", help="what this program asks of itself")
    arguments = parser.parse_args()
    if arguments.measure:
        print(json.dumps(measure(PredictionLog(arguments.log, open_engine(arguments.engine)))))
        return
    with tempfile.TemporaryDirectory() as temporary:
        folder = arguments.log or Path(temporary)
        if not (folder / "predictions").exists():
            fill(PredictionLog(folder), arguments.rows)
        size = sum(file.stat().st_size for file in folder.rglob("*.parquet"))
        engine = ["--engine", arguments.engine] if arguments.engine else []
        command = [sys.executable, "-m", "bench.engine_speed", "--measure", "--log", str(folder), *engine]
        found = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()[-1])
        print(json.dumps({**found, "parquet_bytes_a_row": round(size / found["rows"], 1)}))


def measure(log: PredictionLog) -> dict[str, float]:
    baseline = a_baseline()
    started, cpu = time.perf_counter(), time.process_time()
    counts = log.answers(MODEL, DAY, DAY + timedelta(days=1), parts_of(SLICES, baseline))
    report = performance(counts, SLICES)
    answers = day_of_answers(counts, "1.0.0", slices=SLICES, baseline=baseline)
    return {
        "rows": report.rows,
        "labelled": sum(each.labelled for each in report.versions),
        "wrong": answers.overall.wrong,
        "p99_ms": report.versions[0].p99_ms,
        "seconds": round(time.perf_counter() - started, 1),
        "cpu": round(time.process_time() - cpu, 1),
        "megabytes": round(peak_megabytes()),
    }


def a_baseline() -> Baseline:
    rng = np.random.default_rng(1)
    features = {}
    for number in range(NUMBERS):
        values = rng.normal(size=20_000)
        features[f"f{number}"] = Histogram.of(NumericBins.fit(values), values)
    carriers = CategoricalBins(CARRIERS)
    features["carrier"] = Histogram.of(carriers, [*CARRIERS] * 1000)
    score = NumericBins((0.5,))
    return Baseline(features, Histogram.of(score, [0.2, 0.7]), Histogram.of(CategoricalBins(("late",)), ["late"]))


if __name__ == "__main__":
    main()
