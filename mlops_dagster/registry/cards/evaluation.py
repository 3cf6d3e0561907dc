"""The evaluation of a version, on all held-out rows and on parts of them."""

from typing import Annotated, Self

import numpy as np
import numpy.typing as npt
from pydantic import AfterValidator, Field, model_validator

from mlops_dagster.documents.strict import StrictModel
from mlops_dagster.registry.cards.parts import Metrics, NonNegative
from mlops_dagster.statistics import wilson_interval
from mlops_dagster.tasks import ACCURACY, UNKNOWN_TASK, Measure, Task

OVERALL = "overall"


def _ordered(interval: tuple[float, float]) -> tuple[float, float]:
    low, high = interval
    if low > high:
        raise ValueError(f"an interval goes from its lower bound to its upper one, not from {low} to {high}")
    return interval


Interval = Annotated[tuple[float, float], AfterValidator(_ordered)]


class EvaluationSlice(StrictModel):
    """The quality of a version on a part of the held-out rows; the part "overall" is all of them."""

    name: str
    rows: NonNegative
    metrics: Metrics
    counts: dict[str, dict[str, NonNegative]] = Field(default_factory=dict)
    """The count of each prediction by truth, from which the metrics follow. Empty if not known, or not counted."""
    intervals: dict[str, Interval] = Field(default_factory=dict)
    """The lower and upper bound of a metric, with 95 % confidence, if known."""

    @model_validator(mode="after")
    def _counts_are_of_the_rows(self) -> Self:
        counted = sum(sum(row.values()) for row in self.counts.values())
        if self.counts and counted != self.rows:
            raise ValueError(f"the counts of the slice {self.name!r} add up to {counted}, and it has {self.rows} rows")
        return self


def evaluate(name: str, y_true: npt.ArrayLike, y_pred: npt.ArrayLike, task: Task = UNKNOWN_TASK) -> EvaluationSlice:
    """Return the slice of rows with these true and predicted labels, one of each a row, by the measures of `task`.

    Each slice has its accuracy, the share of answers that are not wrong, by which concept drift and collapse are told.
    The intervals take the rows as independent.

    Raises InvalidInputError for no rows, unequal lengths and missing labels.

    >>> part = evaluate("overall", ["late", "late", "ok", "ok"], ["late", "ok", "ok", "ok"])
    >>> part.counts
    {'late': {'late': 1, 'ok': 1}, 'ok': {'ok': 2}}
    >>> part.metrics["accuracy"], [round(bound, 2) for bound in part.intervals["accuracy"]]
    (0.75, [0.3, 0.95])
    """
    true, predicted = np.asarray(y_true), np.asarray(y_pred)
    sums = task.sums(true, predicted)
    found = dict(task.measures(sums))
    if ACCURACY not in found:
        right = len(true) - int(task.wrong(predicted, true).sum())
        found[ACCURACY] = Measure(right / len(true), wilson_interval(right, len(true)))
    return EvaluationSlice(
        name=name,
        rows=len(true),
        metrics={measure: its.value for measure, its in found.items()},
        counts=task.by_truth(sums),
        intervals={measure: its.interval for measure, its in found.items() if its.interval is not None},
    )
