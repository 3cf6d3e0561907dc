"""The check that the scores of a row are probabilities."""

from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

SUM_TOLERANCE: Final = 0.01
"""The largest distance from 1 of the sum of a row's probabilities: a quantised softmax is off by some thousandths."""
_BELOW_ZERO: Final = 1e-6


def are_probabilities(scores: npt.NDArray[np.float64]) -> npt.NDArray[np.bool_]:
    """Return for each row of (rows, classes) whether its scores are at least 0 and sum to about 1.

    >>> are_probabilities(np.array([[0.3, 0.7], [-2.0, 3.0], [0.9, 0.8], [np.nan, 1.0]])).tolist()
    [True, False, False, False]
    """
    sound: npt.NDArray[np.bool_] = np.abs(scores.sum(axis=1) - 1) <= SUM_TOLERANCE  # false for NaN
    if scores.size and not scores.min() >= -_BELOW_ZERO:
        sound &= scores.min(axis=1) >= -_BELOW_ZERO
    return sound


def not_probabilities(version: str, row: int, scores: Sequence[float]) -> str:
    """Return the message for a row whose scores are not probabilities."""
    some = ", ".join(f"{score:.6g}" for score in scores[:5]) + (", ..." if len(scores) > 5 else "")
    if not np.isfinite(scores).all():
        return f"version {version} gave row {row} the scores [{some}], not all of them finite"
    return (
        f"version {version} gave row {row} the scores [{some}], which are no probabilities (none under 0, about 1 in "
        "sum): they look like margins, logits or votes; register the model with its softmax or sigmoid at the end "
        "(XGBoost: objective multi:softprob or binary:logistic, without output_margin)"
    )
