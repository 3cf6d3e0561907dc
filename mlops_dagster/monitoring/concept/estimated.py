"""Estimated performance: a version's expected quality before any label has come, from its calibrated scores.

The estimate is one signal among others and decides nothing: it is right while scores mean the same as in the
evaluation, and blind when their meaning changes. docs/concepts/drift.md has the simulation of both.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import numpy.typing as npt

from mlops_dagster.monitoring.policy import ConceptPolicy
from mlops_dagster.registry.cards import OVERALL
from mlops_dagster.registry.entities.baseline import Baseline
from mlops_dagster.tasks import UNKNOWN_TASK, Calibration, Measure, Places, Task

UNKNOWN: Final = 0.05
"""Nothing is estimated if more than this share of the answers has a prediction that the evaluation never gave."""


@dataclass(frozen=True, slots=True)
class EstimatedPerformance:
    """The expected performance of the answers of a window; where it cannot be estimated, the reason and no measures."""

    rows: int
    measures: Mapping[str, Measure] = field(default_factory=dict)
    """The expected quality measures, by name."""
    headings: Mapping[str, str] = field(default_factory=dict)
    """The names of the measures for people."""
    reason: str = ""

    def metadata(self) -> dict[str, object]:
        """Return the numbers as JSON can hold them."""
        shown: dict[str, object] = {"estimated_rows": self.rows}
        for name, found in self.measures.items():
            shown[f"estimated_{name}"] = found.value
            if found.interval is not None:
                shown |= {f"estimated_{name}_low": found.interval[0], f"estimated_{name}_high": found.interval[1]}
        return {**shown, **({"estimated_reason": self.reason} if self.reason else {})}

    @property
    def in_words(self) -> str:
        """The estimate as a sentence for people, shown with the table of measured performance."""
        if not self.measures:
            return f"Not estimated from scores: {self.reason}."
        numbers = ", ".join(f"{self.headings.get(name, name)} {_text(its)}" for name, its in self.measures.items())
        return (
            f"Estimated from the scores of {self.rows:,} answers, without labels: {numbers}"
            f"{f' ({self.reason})' if self.reason else ''}. It does not see concept drift and decides nothing."
        )


def estimated_performance(
    places: Places, calibration: Calibration, baseline: Baseline, policy: ConceptPolicy, task: Task = UNKNOWN_TASK
) -> EstimatedPerformance:
    """Return the expected performance of a version's answers in one day, from the counts of `PredictionLog.places`.

    The measures are those of the version's `task`.

    For the interval, rows that share causes are worth fewer: by the design effect of the policy, or else by that of the
    wrong answers in the evaluation; without either there is no interval.
    """
    return _estimate(task, calibration, places, _worth(baseline, policy, places.total()))


def estimate(
    calibration: Calibration,
    predicted: Sequence[str],
    scores: npt.NDArray[np.float64],
    worth: tuple[float, float] | None,
    task: Task = UNKNOWN_TASK,
) -> EstimatedPerformance:
    """Return the expected performance from predictions and scores; `worth` is the rows that are worth one.

    It is of the rows of the evaluation, and of the new rows; without it there are no intervals.
    """
    return _estimate(task, calibration, _places(calibration, predicted, scores), worth)


def _places(calibration: Calibration, predicted: Sequence[str], scores: npt.NDArray[np.float64]) -> Places:
    return Places(
        (name, calibration.place(name, score)) for name, score in zip(predicted, scores.tolist(), strict=True)
    )


def _estimate(
    task: Task, calibration: Calibration, places: Places, worth: tuple[float, float] | None
) -> EstimatedPerformance:
    known = Places({(name, place): rows for (name, place), rows in places.items() if place is not None})
    total, covered = places.total(), known.total()
    if not covered or covered < (1 - UNKNOWN) * total:
        why = f"{total - covered} of {total} answers are of a kind that the evaluation never gave"
        return EstimatedPerformance(total, reason=why if total else "no answers with scores")
    reason = "" if worth is not None else "without an interval: how days differ is not known"
    return EstimatedPerformance(covered, task.expected(calibration, known, worth), task.headings, reason)


def _worth(baseline: Baseline, policy: ConceptPolicy, rows: int) -> tuple[float, float] | None:
    """Return how many rows are worth one: over all days of the evaluation, and within one day of `rows` rows."""
    shared = policy.design_effect(OVERALL, baseline.design_effects)
    return None if shared is None else (shared.of_many_blocks, shared.at(max(rows, 1)).rows)


def _text(found: Measure) -> str:
    if found.interval is None:
        return f"{found.value:.3f}"
    return f"{found.value:.3f} ({found.interval[0]:.3f}–{found.interval[1]:.3f})"
