"""What the guard costs a request: every row held against ranges and categories, by rows in the request.

Beside it the same ranges as numpy would compare them (its categories left out): from lists of Python floats, as they
come out of JSON.

    python bench/guard_speed.py
"""

import timeit
from collections.abc import Callable

import numpy as np
import pandas as pd
from rich.console import Console
from rich.table import Table

from mlops_dagster.monitoring import make_baseline
from mlops_dagster.schema import Feature, ModelSchema
from mlops_dagster.serving.deployed.guard import Guard
from mlops_dagster.serving.protocol.inputs import Column
from mlops_dagster.tasks import Classification

NUMERIC = tuple(f"x{number}" for number in range(9))
CATEGORICAL = ("carrier", "origin")
SCHEMA = ModelSchema(
    features=(
        *(Feature(name=name, kind="numeric") for name in NUMERIC),
        *(Feature(name=name, kind="categorical") for name in CATEGORICAL),
    ),
    task=Classification(classes=("on_time", "late")),
)
ROWS = (1, 8, 64, 1_000, 10_000)


def main() -> None:
    generator = np.random.default_rng(11)
    data: dict[str, list[float | str | None]] = {name: generator.normal(size=10_000).tolist() for name in NUMERIC}
    data |= {name: generator.choice(["EWR", "JFK", "LGA"], 10_000).tolist() for name in CATEGORICAL}
    frame = pd.DataFrame(data)
    baseline = make_baseline(frame, SCHEMA, scores=np.full(10_000, 0.5), labels=["late"] * 10_000)
    guard = Guard(SCHEMA, baseline, stretch=2.0)
    table = Table("rows", "guard, us a row", "numpy, us a row", title=f"{len(SCHEMA.features)} features")
    for rows in ROWS:
        inputs = {name: Column("FP64" if name in NUMERIC else "BYTES", values[:rows]) for name, values in data.items()}
        ours = _seconds(lambda: guard.violations(inputs), rows)  # noqa: B023  # called before the next round
        theirs = _seconds(lambda: _outside(inputs), rows)  # noqa: B023
        table.add_row(f"{rows:,}", f"{1e6 * ours:.2f}", f"{1e6 * theirs:.2f}")
    Console().print(table)


def _outside(inputs: dict[str, Column]) -> bool:
    matrix = np.array([inputs[name].values for name in NUMERIC], dtype=np.float64)
    return bool(((matrix < -12.0) | (matrix > 12.0)).any())


def _seconds(call: Callable[[], object], rows: int) -> float:
    """The least time a row of seven tries."""
    number = max(1, 20_000 // rows)
    return min(timeit.repeat(call, number=number, repeat=7)) / number / rows


if __name__ == "__main__":
    main()
