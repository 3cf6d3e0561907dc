"""The cheapest safe way to get the labels and probabilities of a classifier."""

from collections.abc import Callable
from typing import Any, Final, TypeAlias

import numpy as np
import numpy.typing as npt

from mlops_dagster.tasks.answers import Ask, Inputs, Mask, Numbers, RawOutputs
from mlops_dagster.tasks.classification.structure import predicts_most_probable

_Labels: TypeAlias = npt.NDArray[np.generic]

_TIE: Final = 1e-6
"""Two best classes closer than this are a tie, which `predict` decides."""


def way_to_ask(estimator: Any) -> Ask:
    """Return a function for labels and probabilities: one call if possible, labels by argmax if that is known equal."""
    both: Callable[[Inputs], tuple[_Labels, Numbers]] | None = getattr(estimator, "predict_with_proba", None)
    if both is not None:
        return lambda inputs: RawOutputs(*both(inputs))
    own: Callable[[Inputs], npt.ArrayLike] | None = getattr(estimator, "predict", None)

    def proba(inputs: Inputs) -> Numbers:
        return np.asarray(estimator.predict_proba(inputs), dtype=np.float64)

    if own is None:
        return lambda inputs: RawOutputs(None, proba(inputs))
    if not predicts_most_probable(estimator):
        return lambda inputs: RawOutputs(np.asarray(own(inputs)), proba(inputs))

    def most_probable(inputs: Inputs) -> RawOutputs:
        """Return probabilities, and labels by argmax; call `predict` only for rows whose best two classes are close."""
        found = proba(inputs)
        close = _ties(found) if len(found) == len(inputs) else np.empty(0, dtype=np.bool_)
        if not close.any():
            return RawOutputs(None, found)
        labels = np.asarray(estimator.classes_).astype(np.object_)[found.argmax(axis=1)]
        labels[close] = np.asarray(own(inputs[close]))
        return RawOutputs(labels, found)

    return most_probable


def _ties(found: Numbers) -> Mask:
    if found.ndim != 2 or found.shape[1] < 2:
        return np.empty(0, dtype=np.bool_)
    if found.shape[1] == 2:
        two: Mask = np.abs(found[:, 0] - found[:, 1]) < _TIE
        return two
    best = np.partition(found, -2, axis=1)
    close: Mask = best[:, -1] - best[:, -2] < _TIE
    return close
