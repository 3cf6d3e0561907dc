"""The ways to ask an estimator for its labels and probabilities, each as cheap as is safe."""

import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING, Final, TypeAlias, cast

import numpy as np
import numpy.typing as npt

from mlops_dagster.inference.rows import features_frame, features_matrix
from mlops_dagster.inference.structure import predicts_most_probable
from mlops_dagster.registry.estimators import Estimator
from mlops_dagster.schema import ModelSchema

if TYPE_CHECKING:
    import pandas as pd

_Numbers: TypeAlias = npt.NDArray[np.float64]
Labels: TypeAlias = npt.NDArray[np.generic]
Inputs: TypeAlias = "pd.DataFrame | npt.NDArray[np.float64]"
Ask: TypeAlias = Callable[[Inputs], tuple[Labels | None, _Numbers]]
"""From rows to their labels, None for those with the highest probability, and probabilities by `classes_`."""

_TIE: Final = 1e-6
"""Two best classes that are closer than this are a tie: `predict` decides it."""


def way_to_ask(estimator: Estimator) -> Ask:
    """Return how to ask for the estimator's own labels: together with its probabilities, or known by structure."""
    both = getattr(estimator, "predict_with_proba", None)
    if both is not None:
        return cast("Ask", both)

    def proba(inputs: Inputs) -> _Numbers:
        # A bare matrix is given only where that was tried.
        return np.asarray(estimator.predict_proba(cast("pd.DataFrame", inputs)), dtype=np.float64)

    own: Callable[[Inputs], npt.ArrayLike] | None = getattr(estimator, "predict", None)
    if own is None:
        return lambda inputs: (None, proba(inputs))
    if not predicts_most_probable(estimator):
        return lambda inputs: (np.asarray(own(inputs)), proba(inputs))

    def most_probable(inputs: Inputs) -> tuple[Labels | None, _Numbers]:
        """Only rows whose two best classes are close are asked for their label as well."""
        found = proba(inputs)
        close = _ties(found) if len(found) == len(inputs) else np.empty(0, dtype=np.bool_)
        if not close.any():
            return None, found
        labels = np.asarray(estimator.classes_).astype(np.object_)[found.argmax(axis=1)]
        labels[close] = np.asarray(own(inputs[close]))
        return labels, found

    return most_probable


def answers_alike_to_a_matrix(ask: Ask, estimator: Estimator, schema: ModelSchema) -> bool:
    """Return whether an estimator that was fitted on these columns answers the same to their bare matrix, by trying.

    scikit-learn looks at a frame's names and types for a quarter of a millisecond; here they come in the schema's
    order, and checked. One that picks columns by name fails with a matrix, and goes on getting frames.
    """
    if tuple(getattr(estimator, "feature_names_in_", ())) != schema.names:
        return False
    if any(feature.kind == "categorical" for feature in schema.features):
        return False
    # The names are left out knowingly.
    warnings.filterwarnings("ignore", message="X does not have valid feature names", category=UserWarning)
    made_up = np.random.default_rng(0).normal(scale=10, size=(len(schema.names), 16))
    columns = dict(zip(schema.names, made_up, strict=True))
    try:
        said, found = ask(features_frame(schema, columns))
        said_again, found_again = ask(features_matrix(schema, columns))
    except Exception:  # of whatever kind: the frame is what it is known to take
        return False
    if said is None or said_again is None:
        return said is said_again and np.array_equal(found, found_again)
    return np.array_equal(said, said_again) and np.array_equal(found, found_again)


def _ties(found: _Numbers) -> npt.NDArray[np.bool_]:
    if found.ndim != 2 or found.shape[1] < 2:
        return np.empty(0, dtype=np.bool_)
    if found.shape[1] == 2:
        two: npt.NDArray[np.bool_] = np.abs(found[:, 0] - found[:, 1]) < _TIE
        return two
    best = np.partition(found, -2, axis=1)
    close: npt.NDArray[np.bool_] = best[:, -1] - best[:, -2] < _TIE
    return close
