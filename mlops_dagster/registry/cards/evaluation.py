"""The evaluation of a version, on all held-out rows and on parts of them."""

from collections import defaultdict
from typing import Annotated, Self

import numpy.typing as npt
from pydantic import AfterValidator, Field, model_validator

from mlops_dagster.documents.strict import StrictModel
from mlops_dagster.registry.cards.parts import Metrics, NonNegative
from mlops_dagster.statistics import confusion_counts, macro_f1_interval, metrics_from_confusion, wilson_interval

OVERALL = "overall"
REQUIRED_METRICS = ("micro_f1", "macro_f1", "accuracy")


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
    """The count of each predicted class, by true class: the metrics follow from these. Empty if not known."""
    intervals: dict[str, Interval] = Field(default_factory=dict)
    """The lower and upper bound of a metric, with 95 % confidence, if known."""

    @model_validator(mode="after")
    def _counts_are_of_the_rows(self) -> Self:
        counted = sum(sum(row.values()) for row in self.counts.values())
        if self.counts and counted != self.rows:
            raise ValueError(f"the counts of the slice {self.name!r} add up to {counted}, and it has {self.rows} rows")
        return self


def evaluate(name: str, y_true: npt.ArrayLike, y_pred: npt.ArrayLike) -> EvaluationSlice:
    """Return the slice of rows with these true and predicted labels, one of each a row.

    The intervals are Wilson's for accuracy and micro-F1, which are the same share with one label a row, and
    `macro_f1_interval`'s for macro-F1. All take the rows as independent.

    Raises InvalidInputError for no rows, unequal lengths and missing labels.

    >>> part = evaluate("overall", ["late", "late", "ok", "ok"], ["late", "ok", "ok", "ok"])
    >>> part.counts
    {'late': {'late': 1, 'ok': 1}, 'ok': {'ok': 2}}
    >>> part.metrics["accuracy"], [round(bound, 2) for bound in part.intervals["accuracy"]]
    (0.75, [0.3, 0.95])
    """
    confusion = confusion_counts(y_true, y_pred)
    found = metrics_from_confusion(confusion)
    rows = sum(confusion.values())
    right = wilson_interval(sum(count for (truth, said), count in confusion.items() if truth == said), rows)
    intervals = {"accuracy": right, "micro_f1": right}
    if (macro := macro_f1_interval(confusion)) is not None:
        intervals["macro_f1"] = macro
    counts: defaultdict[str, dict[str, int]] = defaultdict(dict)
    for (truth, said), count in sorted(confusion.items()):
        counts[truth][said] = count
    return EvaluationSlice(
        name=name,
        rows=rows,
        metrics={"accuracy": found.accuracy, "micro_f1": found.micro_f1, "macro_f1": found.macro_f1},
        counts=dict(counts),
        intervals=intervals,
    )
