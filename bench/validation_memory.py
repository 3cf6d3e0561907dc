"""Memory of a catch-up: hours validated over a log of many days. Nothing is asserted.

    python bench/validation_memory.py --days 31 --rows 100000

A log of `days` with `rows` each, ten features, is written first, by a process of its own. Then all of its hours are
validated, in pieces as in production, and with `--together` rows at once (all of them: what it would take without).
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
from sklearn.dummy import DummyClassifier

from mlops_dagster.monitoring import make_baseline
from mlops_dagster.monitoring.validation.hourly import validate_hours
from mlops_dagster.predictions import PredictionLog
from mlops_dagster.predictions.log import columns
from mlops_dagster.predictions.log.delta import tables as delta
from mlops_dagster.predictions.log.names import predictions_table
from mlops_dagster.registry import ModelRegistry, ModelVersion
from mlops_dagster.schema import Feature, ModelSchema
from mlops_dagster.settings import Settings
from mlops_dagster.storage.files import open_files
from mlops_dagster.tasks import Classification

MODEL = "busy"
SINCE = datetime(2026, 1, 1, tzinfo=UTC)
NUMBERS = tuple(f"number_{column}" for column in range(8))
WORDS = ("carrier", "origin")
SCHEMA = ModelSchema(
    features=tuple(
        [Feature(name=name, kind="numeric") for name in NUMBERS]
        + [Feature(name=name, kind="categorical") for name in WORDS]
    ),
    task=Classification(classes=("on_time", "late")),
)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--days", type=int, default=31)
    parser.add_argument("--rows", type=int, default=100_000, help="a day")
    parser.add_argument("--home")
    parser.add_argument("--together", type=int)
    given = parser.parse_args()
    if given.home:
        print(json.dumps(measure(Path(given.home), given.days, given.together)))
        return
    with tempfile.TemporaryDirectory() as home:
        write(PredictionLog(Path(home, "predictions")), given.days, given.rows)
        for together in (given.together or 100_000, given.days * given.rows + 1):
            options = ["--home", home, "--days", str(given.days), "--together", str(together)]
            subprocess.run([sys.executable, __file__, *options], check=True)


def sample(rows: int, seed: int) -> pd.DataFrame:
    """One value in a hundred is missing: no hour of it is without."""
    rng = np.random.default_rng(seed)
    numbers = rng.normal(size=(rows, len(NUMBERS)))
    numbers[rng.random(numbers.shape) < 0.01] = np.nan
    words = {name: rng.choice(["EWR", "JFK", "LGA"], rows) for name in WORDS}
    return pd.DataFrame(dict(zip(NUMBERS, numbers.T, strict=True)) | words)


def write(log: PredictionLog, days: int, rows: int) -> None:
    features = [(f"feature_{name}", pa.float64()) for name in NUMBERS] + [(f"feature_{n}", pa.string()) for n in WORDS]
    schema = pa.schema([*columns.PREDICTIONS, *(pa.field(*feature) for feature in features)])
    at = log.place.table(predictions_table(MODEL))
    for day in range(days):
        begin = SINCE + timedelta(days=day)
        step = timedelta(days=1) / rows
        known = {
            "prediction_id": [f"{day}-{row}" for row in range(rows)],
            "version": ["1.0.0"] * rows,
            "role": ["champion"] * rows,
            "status": ["ok"] * rows,
            "event_time": [begin + row * step for row in range(rows)],
            "process": ["one"] * rows,
            "sequence": list(range(day * rows, (day + 1) * rows)),
            "date": [begin.date()] * rows,
        } | {f"feature_{name}": values for name, values in sample(rows, day).items()}
        fields = [
            pa.array(known[field.name], field.type, from_pandas=True)
            if field.name in known
            else pa.nulls(rows, field.type)
            for field in schema
        ]
        delta.append(at, delta.open_or_create(at, schema), pa.table(fields, schema=schema), {"bench": day + 1})


def measure(home: Path, days: int, together: int) -> dict[str, float]:
    champion = version(home)
    log, bad = PredictionLog(home / "predictions"), open_files(str(home), "quarantine")
    validate_hours(log, champion, bad, SINCE, SINCE + timedelta(hours=2), together=together)  # imports
    before, start = peak(), time.perf_counter()
    found = validate_hours(log, champion, bad, SINCE, SINCE + timedelta(days=days), together=together)
    return {
        "together": together,
        "rows": sum(result.rows for result in found.values()),
        "hours": len(found),
        "failed": sum(not result.passed for result in found.values()),
        "seconds": round(time.perf_counter() - start, 1),
        "peak_before_mb": before,
        "peak_mb": peak(),
    }


def version(home: Path) -> ModelVersion:
    rows = sample(5000, 0)
    baseline = make_baseline(rows, SCHEMA, scores=np.full(5000, 0.5), labels=["late"] * 5000)
    idle = DummyClassifier(strategy="prior").fit([[0]] * len(SCHEMA.task.truths), SCHEMA.task.truths)
    registry = ModelRegistry(settings=Settings(home=home))
    found = registry.register(MODEL, idle, "1.0.0", schema=SCHEMA, baseline=baseline)
    registry.close()
    return found


def peak() -> float:
    """In MB. Not from getrusage: what it tells begins with the peak of the process that started this one."""
    (line,) = (line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) / 1000


if __name__ == "__main__":
    main()
