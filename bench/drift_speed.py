"""A drift report's numbers for a million rows and eleven features, beside Evidently. `make bench`.

Both begin with two pandas frames (reference and current) and end with the PSI of nine numeric and two categorical
features, Kolmogorov-Smirnov on the score and chi-squared on the label.

- Evidently: a `Report` of `ValueDrift`s, one a column, as its presets make them.
- ours, the functions on both samples: `psi`, `ks_two_sample`, `chi_squared` of two columns each, as a user calls them.
- ours, from both samples: bins are fitted on the reference, both samples are counted, the report is made of the counts.
- ours, as in production: the reference was counted when the version was trained, so the current sample is counted and
  the report is made. (In production the counts come from the rollups, and not even that is to do: `fleet_drift.py`.)
- the limit: to sum each numeric column of the current sample once, which is to read it.

Then the numbers are held against each other, over Evidently's own bins; it is asserted that they agree.

    python bench/drift_speed.py --rows 1000000
"""

import argparse
import os
import time
import warnings
from collections.abc import Callable
from statistics import median

os.environ["DO_NOT_TRACK"] = "1"

import numpy as np
import pandas as pd
from rich.console import Console
from rich.table import Table
from scipy.stats import chisquare

from mlops_dagster.monitoring import DriftPolicy, drift, label_drift, make_baseline
from mlops_dagster.registry import Baseline
from mlops_dagster.schema import Feature, ModelSchema
from mlops_dagster.statistics import (
    CategoricalBins,
    ChiSquaredResult,
    Histogram,
    KsResult,
    NumericBins,
    chi_squared,
    ks_two_sample,
    psi,
    psi_from_counts,
)
from mlops_dagster.tasks import Classification
from mlops_dagster.tasks.classification import SCORE_BINS

BLOCKS = 3
NUMBERS = tuple(f"number_{column}" for column in range(9))
WORDS = ("carrier", "origin")
CLASSES = ("on_time", "late")
SCHEMA = ModelSchema(
    features=tuple(
        [Feature(name=name, kind="numeric") for name in NUMBERS]
        + [Feature(name=name, kind="categorical") for name in WORDS]
    ),
    task=Classification(classes=CLASSES),
)
Sides = tuple[pd.DataFrame, pd.DataFrame]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, default=1_000_000)
    rows: int = parser.parse_args().rows
    sides = sample(rows, 1, 0.0), sample(rows, 2, 0.05)
    baseline = counted(sides[0])
    calls: dict[str, Callable[[], object]] = {
        "Evidently": lambda: preset(sides),
        "Evidently, numbers only": lambda: theirs(sides),
        "ours, the functions on both samples": lambda: functions(sides),
        "ours, from both samples": lambda: reported(counted(sides[0]), sides[1]),
        "ours, as in production": lambda: reported(baseline, sides[1]),
        "limit: to read the current sample": lambda: [sides[1][name].to_numpy().sum() for name in NUMBERS],
    }
    preset((sides[0].head(1000), sides[1].head(1000)))  # what it imports on its way is not counted
    taken: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(BLOCKS):
        for name, call in calls.items():
            taken[name].append(timed(call))
    table = Table("", "seconds: min", "median", "max", "times faster: min", "median", "max")
    for name, seconds in taken.items():
        ratios = [other / own for own, other in zip(seconds, taken["Evidently"], strict=True)]
        table.add_row(
            name,
            *(f"{pick(seconds):.4f}" for pick in (min, median, max)),
            *(f"{pick(ratios):,.0f}" for pick in (min, median, max)),
        )
    console = Console(width=120)
    console.print(table, f"{rows:,} rows on each side, 11 features, score and label; {BLOCKS} blocks in turn")
    console.print(agreement(theirs(sides), sides))


def sample(rows: int, seed: int, shift: float) -> pd.DataFrame:
    """Uniform numbers and few categories, so that no bin is empty: there the two differ on purpose."""
    rng = np.random.default_rng(seed)
    columns: dict[str, object] = {name: rng.random(rows) ** (1 + shift * column) for column, name in enumerate(NUMBERS)}
    columns |= {name: rng.choice([f"A{number:02}" for number in range(12)], rows) for name in WORDS}
    columns["score"] = rng.random(rows) ** (1 + shift / 50)
    columns["label"] = rng.choice(CLASSES, rows, p=[0.8 - shift / 100, 0.2 + shift / 100])
    return pd.DataFrame(columns)


def counted(reference: pd.DataFrame) -> Baseline:
    return make_baseline(reference, SCHEMA, scores=reference["score"].to_numpy(), labels=reference["label"].to_numpy())


def reported(baseline: Baseline, current: pd.DataFrame) -> tuple[object, object]:
    counts = {name: histogram.bins.count(current[name].to_numpy()) for name, histogram in baseline.features.items()}
    counts["score"] = SCORE_BINS.count(current["score"].to_numpy())
    labels = Histogram(baseline.label.bins, baseline.label.bins.count(current["label"].to_numpy()))
    policy = DriftPolicy()
    return drift(baseline, counts, policy).metadata(), label_drift(baseline, labels, policy).metadata()


def functions(sides: Sides) -> tuple[dict[str, float], KsResult, ChiSquaredResult]:
    before, after = sides
    features = {name: psi(before[name], after[name]) for name in (*NUMBERS, *WORDS)}
    score, label = ks_two_sample(before["score"], after["score"]), chi_squared(before["label"], after["label"])
    return features, score, label


def theirs(sides: Sides) -> dict[str, float]:
    """The drift score of each column: PSI, and p-values of the score and of the label."""
    from evidently.metrics import ValueDrift

    methods = {**dict.fromkeys((*NUMBERS, *WORDS), "psi"), "score": "ks", "label": "chisquare"}
    found = run([ValueDrift(column=name, method=method) for name, method in methods.items()], sides)
    return {name: float(metric["value"]) for name, metric in zip(methods, found, strict=True)}


def preset(sides: Sides) -> list[dict[str, object]]:
    from evidently.metrics import ValueDrift
    from evidently.presets import DataDriftPreset

    features = DataDriftPreset(columns=[*NUMBERS, *WORDS], num_method="psi", cat_method="psi")
    score, label = ValueDrift(column="score", method="ks"), ValueDrift(column="label", method="chisquare")
    return run([features, score, label], sides)


def run(metrics: list[object], sides: Sides) -> list[dict[str, object]]:
    from evidently import DataDefinition, Dataset, Report

    definition = DataDefinition(numerical_columns=[*NUMBERS, "score"], categorical_columns=[*WORDS, "label"])
    reference, current = (Dataset.from_pandas(side, data_definition=definition) for side in sides)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found: list[dict[str, object]] = Report(metrics).run(current, reference).dict()["metrics"]
    return found


def agreement(found: dict[str, float], sides: Sides) -> Table:
    """Our functions over their bins. Their chi-squared takes the reference for the truth: the same counts say so."""
    before, after = sides
    table = Table("", "Evidently", "ours")
    for name, value in found.items():
        if name in NUMBERS:
            both = pd.concat([before[name], after[name]]).to_numpy()
            bins = NumericBins(tuple(np.histogram_bin_edges(both, bins="sturges")[1:-1].tolist()))
            ours = psi_from_counts(Histogram.of(bins, before[name]), Histogram.of(bins, after[name]), bins=1000)
        elif name in WORDS:
            words = CategoricalBins.fit(before[name])
            ours = psi_from_counts(Histogram.of(words, before[name]), Histogram.of(words, after[name]), bins=1000)
        elif name == "score":
            ours = ks_two_sample(before[name], after[name]).pvalue
        else:
            labels = CategoricalBins(CLASSES)
            p, q = (Histogram.of(labels, side[name]).counts[1:-1] for side in (before, after))
            ours = float(chisquare(q, p * (q.sum() / p.sum())).pvalue)
        assert np.isclose(ours, value, rtol=1e-6, atol=1e-12), (name, value, ours)
        table.add_row(name, f"{value:.8g}", f"{ours:.8g}")
    return table


def timed(call: Callable[[], object]) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
