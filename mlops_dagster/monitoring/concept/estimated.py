"""Estimated performance: a version's expected accuracy before any label has come, from its calibrated scores.

The estimate is one signal among others and decides nothing: it is right while scores mean the same as in the
evaluation, and blind when their meaning changes. docs/concepts/drift.md has the simulation of both.
"""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeAlias

import numpy as np
import numpy.typing as npt

from mlops_dagster.monitoring.policy import ConceptPolicy
from mlops_dagster.registry.cards import OVERALL
from mlops_dagster.registry.entities.baseline import Baseline
from mlops_dagster.registry.entities.calibration import Bracket, Calibration
from mlops_dagster.statistics import Expected, expected_performance

if TYPE_CHECKING:
    import pyarrow as pa

_BRACKETS, _ROWS = 10, 50
"""A predicted class has at most this many score brackets, each of at least this many rows."""
UNKNOWN: Final = 0.05
"""Nothing is estimated if more than this share of the answers has a class that the evaluation never predicted."""


@dataclass(frozen=True, slots=True)
class EstimatedPerformance:
    """The expected performance of the answers of a window; where it cannot be estimated, the reason and no numbers."""

    rows: int
    accuracy: Expected | None = None
    macro_f1: Expected | None = None
    reason: str = ""

    def metadata(self) -> dict[str, object]:
        """Return the numbers as JSON can hold them."""
        shown: dict[str, object] = {"estimated_rows": self.rows}
        for name, found in (("accuracy", self.accuracy), ("macro_f1", self.macro_f1)):
            if found is not None:
                shown[f"estimated_{name}"] = found.value
                if found.interval is not None:
                    shown |= {f"estimated_{name}_low": found.interval[0], f"estimated_{name}_high": found.interval[1]}
        return {**shown, **({"estimated_reason": self.reason} if self.reason else {})}

    @property
    def in_words(self) -> str:
        """The estimate as a sentence for people, shown with the table of measured performance."""
        if self.accuracy is None or self.macro_f1 is None:
            return f"Not estimated from scores: {self.reason}."
        numbers = f"accuracy {_text(self.accuracy)}, macro-F1 {_text(self.macro_f1)}"
        return (
            f"Estimated from the scores of {self.rows:,} answers, without labels: {numbers}"
            f"{f' ({self.reason})' if self.reason else ''}. It does not see concept drift and decides nothing."
        )


def calibrate(
    predicted: Sequence[str] | npt.NDArray[np.object_], scores: npt.ArrayLike, truths: Sequence[str]
) -> Calibration:
    """Count how right the answers of an evaluation were, by predicted class and score, in brackets of equal rows.

    >>> late = calibrate(["late"] * 100, np.linspace(0.5, 1, 100), ["ok"] * 40 + ["late"] * 60).brackets["late"]
    >>> [(round(each.above, 2), each.truths) for each in late]
    [(-inf, {'ok': 40, 'late': 10}), (0.75, {'late': 50})]
    """
    said, true, score = np.asarray(predicted), np.asarray(truths), np.asarray(scores, dtype=np.float64)
    brackets = {}
    for name in sorted(set(said.tolist())):
        its, rights = score[said == name], true[said == name]
        parts = max(min(len(its) // _ROWS, _BRACKETS), 1)
        edges = np.unique(np.quantile(its, np.arange(1, parts) / parts))
        place = np.searchsorted(edges[edges > its.min()], its, side="right")
        lower = [-math.inf, *edges[edges > its.min()].tolist()]
        counts = [dict(Counter(rights[place == number].tolist())) for number in range(len(lower))]
        brackets[name] = tuple(Bracket(above, each) for above, each in zip(lower, counts, strict=True) if each)
    return Calibration(brackets)


Places: TypeAlias = Counter[tuple[str, int | None]]
"""How many answers are in each bracket of each predicted class; None for a class that the calibration lacks."""


def places_of(rows: "pa.Table", version: str, calibration: Calibration) -> Places:
    """Count a version's answers as champion, from `PredictionLog.labelled`; counts of parts of a day add up."""
    import pyarrow.compute as pc

    answered = rows.filter(
        pc.and_(pc.equal(rows["version"], version), pc.and_(pc.equal(rows["role"], "champion"), _told(rows)))
    )
    return _places(calibration, answered["prediction"].to_pylist(), answered["score"].to_numpy())


def estimated_performance(
    places: Places, calibration: Calibration, baseline: Baseline, policy: ConceptPolicy
) -> EstimatedPerformance:
    """Return the expected performance of a version's answers in one day, from the counts of `places_of`.

    For the interval, rows that share causes are worth fewer: by the design effect of the policy, or else by that of the
    wrong answers in the evaluation; without either there is no interval.
    """
    return _estimate(calibration, places, _worth(baseline, policy, places.total()))


def estimate(
    calibration: Calibration,
    predicted: Sequence[str],
    scores: npt.NDArray[np.float64],
    worth: tuple[float, float] | None,
) -> EstimatedPerformance:
    """Return the expected performance from predictions and scores; `worth` is that of `expected_performance`."""
    return _estimate(calibration, _places(calibration, predicted, scores), worth)


def _places(calibration: Calibration, predicted: Sequence[str], scores: npt.NDArray[np.float64]) -> Places:
    return Counter(
        (name, calibration.place(name, score)) for name, score in zip(predicted, scores.tolist(), strict=True)
    )


def _estimate(calibration: Calibration, places: Places, worth: tuple[float, float] | None) -> EstimatedPerformance:
    known = {(name, place): rows for (name, place), rows in places.items() if place is not None}
    total, covered = places.total(), sum(known.values())
    if not covered or covered < (1 - UNKNOWN) * total:
        why = f"{total - covered} of {total} answers have a class that the evaluation never predicted"
        return EstimatedPerformance(total, reason=why if total else "no answers with scores")
    brackets = [calibration.brackets[name][place] for name, place in known]
    classes = sorted({*calibration.brackets, *(truth for bracket in brackets for truth in bracket.truths)})
    number = {name: place for place, name in enumerate(classes)}
    truths = np.zeros((len(brackets), len(classes)))
    for row, bracket in enumerate(brackets):
        for truth, times in bracket.truths.items():
            truths[row, number[truth]] = times
    found = expected_performance(list(known.values()), [number[name] for name, _ in known], truths, worth=worth)
    reason = "" if worth is not None else "without an interval: how days differ is not known"
    return EstimatedPerformance(covered, found.accuracy, found.macro_f1, reason)


def _told(rows: "pa.Table") -> "pa.ChunkedArray":
    import pyarrow.compute as pc

    return pc.and_(pc.is_valid(rows["prediction"]), pc.is_valid(rows["score"]))


def _worth(baseline: Baseline, policy: ConceptPolicy, rows: int) -> tuple[float, float] | None:
    """Return how many rows are worth one: over all days of the evaluation, and within one day of `rows` rows."""
    shared = policy.design_effect(OVERALL, baseline.design_effects)
    return None if shared is None else (shared.of_many_blocks, shared.at(max(rows, 1)).rows)


def _text(found: Expected) -> str:
    if found.interval is None:
        return f"{found.value:.3f}"
    return f"{found.value:.3f} ({found.interval[0]:.3f}–{found.interval[1]:.3f})"
