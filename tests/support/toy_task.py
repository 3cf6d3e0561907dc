"""A kind of task that is made up for tests.

It is of counts: the answer is a number, and its loss is the squared error, in parts of that from which on worse makes
no difference.
"""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
import pandas as pd
from sklearn.linear_model import LinearRegression

from mlops_dagster.errors import InvalidInputError
from mlops_dagster.statistics import Bins, NumericBins
from mlops_dagster.tasks import Least, Measure, Output, QualityLimits, RawOutputs, Sums, Task
from mlops_dagster.tasks.answers import Mask, Numbers, Rows
from mlops_dagster.tasks.task import Column


@dataclass(frozen=True, slots=True)
class Counted:
    """Answers of a regression: a row without a finite number is unsound."""

    values: Numbers

    @property
    def sound(self) -> Mask:
        return np.asarray(np.isfinite(self.values))

    @property
    def answered(self) -> Mask:
        return np.asarray(~np.isnan(self.values))

    def labels(self) -> list[str]:
        return [f"{value:.6g}" for value in self.values.tolist()]

    def scores(self) -> Numbers:
        return self.values

    def tensors(self) -> Mapping[str, Numbers]:
        return {"count": self.values}

    def at(self, rows: Rows) -> "Counted":
        return Counted(self.values[rows])

    def differ(self, again: "Counted") -> Mask:
        return np.asarray(np.abs(self.values - again.values) > 1e-3)

    def shown(self, row: int) -> tuple[str, str]:
        return f"the count {self.values[row]}", f"the label {self.labels()[row]!r}"

    def fault(self, row: int, number: int) -> str:
        return f"gave row {number} the count {self.values[row]}, which is not finite"


class CountReader:
    rows_at_once = 100_000

    def read(self, raw: RawOutputs, rows: int) -> Counted:
        if raw.values.shape != (rows,):
            raise ValueError(f"returned {raw.values.shape} counts for {rows} rows")
        return Counted(raw.values)

    def refused(self) -> Counted:
        return Counted(np.array([np.nan]))

    def joined(self, parts: Sequence[Counted]) -> Counted:
        return Counted(np.concatenate([part.values for part in parts]))


class Count(Task):
    kind: Literal["count"] = "count"
    cap: float
    """The error from which on worse makes no difference."""

    merit: ClassVar[str] = "closeness"
    headline: ClassVar[str] = "closeness"
    required: ClassVar[tuple[str, ...]] = ("closeness", "mae")
    headings: ClassVar[Mapping[str, str]] = {"closeness": "closeness", "mae": "mean error"}

    @property
    def outputs(self) -> tuple[Output, ...]:
        return (Output("count", "FP64"),)

    @classmethod
    def check_estimator(cls, estimator: object, *, fitted: bool) -> None:
        if not hasattr(estimator, "coef_" if fitted else "fit") or hasattr(estimator, "predict_proba"):
            raise InvalidInputError(f"{type(estimator).__name__} counts nothing; give a fitted regression")

    def reader(self, estimator: object, *, partial: bool) -> CountReader:  # noqa: ARG002  # any will do
        return CountReader()

    def accepted(self, labels: Collection[str]) -> set[str]:
        return {label for label in labels if label.isdigit()}

    def describe(self) -> Mapping[str, tuple[str, ...]]:
        return {"cap": (f"{self.cap:g}",)}

    def loss(self, prediction: str, truth: str) -> float:
        return min(((float(prediction) - float(truth)) / self.cap) ** 2, 1.0)

    def sums(self, truths: Column, predictions: Column, rows: Sequence[int] | None = None) -> Sums:
        times = np.ones(len(truths)) if rows is None else np.array(rows)
        said = np.array([np.nan if each is None else float(each) for each in predictions])
        off = np.nan_to_num(np.abs(said - np.array(truths, dtype=np.float64)), nan=self.cap)
        lost = np.array(self.losses(predictions, truths))
        return Counter({("n",): times.sum(), ("off",): off @ times, ("loss",): lost @ times})

    def measures(self, sums: Sums, *, intervals: bool = True) -> Mapping[str, Measure]:  # noqa: ARG002  # it has none
        n = sums[("n",)]
        return {"closeness": Measure(1 - sums[("loss",)] / n), "mae": Measure(sums[("off",)] / n)}

    def targets(self, labels: "pd.Series[str]") -> "pd.Series[float]":
        return labels.astype(float)

    def least(self, limits: QualityLimits) -> Sequence[Least]:  # noqa: ARG002  # its own limit is no one's to choose
        return (Least("closeness", "closeness", LEAST, "count again"),)

    def truth_bins(self, labels: Sequence[str | None]) -> Bins:
        return NumericBins.fit([float(label) for label in labels if label is not None])

    def score_bins(self, scores: Numbers) -> Bins:
        return NumericBins.fit(scores)


SCHEMA_JSON = {"features": [{"name": "x", "kind": "numeric"}], "task": {"kind": "count", "cap": 10}}
LEAST = 0.9
"""The least closeness of a champion."""


def regression(off: float) -> LinearRegression:
    """A regression that is `off` by so much: the truth is 3 x, and x a whole number."""
    frame = pd.DataFrame({"x": [0.0, 1.0, 2.0]})
    return LinearRegression().fit(frame, 3 * frame["x"] + off)
