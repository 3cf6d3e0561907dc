"""When performance estimated from scores, without labels, is right, and when it is wrong.

    .venv/bin/python bench/estimated_performance.py

A classifier is trained and evaluated on days of one world; then come days of another. Of each day its performance is
measured with the labels, and estimated without. In a covariate shift other rows come and each of them has the truth it
always had; in concept drift the same rows have other truths.
"""

import argparse
import sys
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from rich.console import Console
from rich.table import Table
from sklearn.linear_model import LogisticRegression

from mlops_dagster.monitoring.concept.estimated import estimate
from mlops_dagster.statistics import classification_metrics, ks_two_sample, rate_design_effect
from mlops_dagster.tasks.classification.estimate import calibrate

Floats = npt.NDArray[np.float64]
CLASSES = ("ok", "late")
ROWS, TRAINED, EVALUATED = 800, 30, 14


class World(NamedTuple):
    """How a day's features are drawn, and how late is how likely; both know what the day shares."""

    features: Callable[[np.random.Generator, int], Floats]
    odds: Callable[[Floats], Floats]


def normal(means: tuple[float, float, float], spread: float = 1.0) -> Callable[[np.random.Generator, int], Floats]:
    return lambda rng, rows: rng.normal(means, spread, size=(rows, 3))


def truth(x: Floats) -> Floats:
    """With a bend that a linear model does not know."""
    return 1.6 * x[:, 0] - 1.1 * x[:, 1] + 0.5 * np.abs(x[:, 2]) - 0.9


USUAL = normal((0.0, 0.0, 0.0))
WORLDS = {
    "nothing changes": World(USUAL, truth),
    "covariate shift, harder rows": World(lambda rng, rows: normal((0, 0, 0), 0.5)(rng, rows), truth),
    "covariate shift, easier rows": World(normal((1.2, -0.8, 0.0)), truth),
    "covariate shift, more late": World(normal((0.7, 0.0, 0.0)), truth),
    "covariate shift, where few were evaluated": World(normal((0.0, 0.0, 4.0)), truth),
    "concept drift, one feature loses its meaning": World(USUAL, lambda x: truth(x) - 1.6 * x[:, 0]),
    "concept drift, all rows are late more often": World(USUAL, lambda x: truth(x) + 1.5),
    "both: other rows, and other truths": World(normal((1.2, -0.8, 0.0)), lambda x: truth(x) - 1.6 * x[:, 0]),
    "a feature is sent in other units": World(USUAL, truth),
}
UNITS = "a feature is sent in other units"
STORMS = 0.3
"""The spread of what all rows of a day share, in log odds."""


def day(rng: np.random.Generator, world: World, rows: int = ROWS) -> tuple[Floats, npt.NDArray[np.object_]]:
    x = world.features(rng, rows)
    odds = world.odds(x) + rng.normal(0, STORMS)
    return x, np.where(rng.random(rows) < 1 / (1 + np.exp(-odds)), "late", "ok").astype(object)


def days(rng: np.random.Generator, number: int) -> tuple[Floats, npt.NDArray[np.object_]]:
    parts = [day(rng, WORLDS["nothing changes"]) for _ in range(number)]
    return np.concatenate([x for x, _ in parts]), np.concatenate([y for _, y in parts])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--days", type=int, default=30, help="later days of each kind, for each of ten models")
    options = parser.parse_args()
    table = Table(
        "what comes", "accuracy", "estimated", "macro-F1", "estimated", "days within the interval", "KS of the score"
    )
    found: dict[str, list[tuple[float, ...]]] = {name: [] for name in WORLDS}
    for seed in range(10):
        rng = np.random.default_rng(seed)
        model = LogisticRegression().fit(*days(rng, TRAINED))
        x, y = days(rng, EVALUATED)
        said, scores = model.predict(x), model.predict_proba(x)[:, list(model.classes_).index("late")]
        calibration = calibrate(said, scores, y)
        wrong = (said != y).reshape(EVALUATED, ROWS).sum(axis=1)
        shared = rate_design_effect([(int(each), ROWS) for each in wrong])
        assert shared is not None
        worth = shared.of_many_blocks, shared.at(ROWS).rows
        for name, world in WORLDS.items():
            for _ in range(options.days):
                new, labels = day(rng, world)
                seen = new * [3.0, 1.0, 1.0] if name == UNITS else new
                answers, its = model.predict(seen), model.predict_proba(seen)[:, list(model.classes_).index("late")]
                measured = classification_metrics(labels, answers)
                expected = estimate(calibration, answers.tolist(), its, worth)
                right, f1_expected = expected.measures["accuracy"], expected.measures["macro_f1"]
                assert right.interval is not None
                low, high = right.interval
                found[name].append(
                    (
                        measured.accuracy,
                        right.value,
                        measured.macro_f1,
                        f1_expected.value,
                        float(low <= measured.accuracy <= high),
                        ks_two_sample(scores, its).statistic,
                    )
                )
    for name, each in found.items():
        accuracy, estimated, f1, estimated_f1, within, ks = np.mean(each, axis=0)
        table.add_row(
            name,
            *(f"{number:.3f}" for number in (accuracy, estimated, f1, estimated_f1)),
            f"{within:.0%}",
            f"{ks:.2f}",
        )
    Console(width=160).print(table)


if __name__ == "__main__":
    sys.exit(main())
