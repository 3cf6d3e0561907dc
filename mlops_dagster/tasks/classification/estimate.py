"""Quality measures that are expected of answers without labels, from the truths of answers with similar scores."""

import math
from collections import Counter

import numpy as np
import numpy.typing as npt

from mlops_dagster.statistics import expected_performance
from mlops_dagster.tasks.calibration import Bracket, Calibration, Places
from mlops_dagster.tasks.task import Column, Measure

_BRACKETS, _ROWS = 10, 50
"""A predicted class has at most this many score brackets, each of at least this many rows."""


def calibrate(predicted: Column, scores: npt.ArrayLike, truths: Column) -> Calibration:
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


def expected_measures(
    calibration: Calibration, places: Places, worth: tuple[float, float] | None
) -> dict[str, Measure]:
    """Return accuracy and macro-F1 that are expected of answers in these brackets, of which there is one at least.

    `worth` is that of `expected_performance`; without it there are no intervals.
    """
    counted = {(name, place): rows for (name, place), rows in places.items() if place is not None}
    brackets = [calibration.brackets[name][place] for name, place in counted]
    classes = sorted({*calibration.brackets, *(truth for bracket in brackets for truth in bracket.truths)})
    number = {name: place for place, name in enumerate(classes)}
    truths = np.zeros((len(brackets), len(classes)))
    for row, bracket in enumerate(brackets):
        for truth, times in bracket.truths.items():
            truths[row, number[truth]] = times
    found = expected_performance(list(counted.values()), [number[name] for name, _ in counted], truths, worth=worth)
    return {name: Measure(its.value, its.interval) for name, its in found._asdict().items()}
