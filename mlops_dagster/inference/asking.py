"""The cheapest safe way to get an estimator's labels and probabilities, or the values it predicts."""

import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING, Final, TypeAlias, cast

import numpy as np
import numpy.typing as npt

from mlops_dagster.inference.rows import features_frame, features_matrix
from mlops_dagster.inference.structure import predicts_most_probable
from mlops_dagster.registry.estimators import Estimator
from mlops_dagster.schema import ModelSchema
from mlops_dagster.tasks import RawOutputs

if TYPE_CHECKING:
    import pandas as pd

_Numbers: TypeAlias = npt.NDArray[np.float64]
Labels: TypeAlias = npt.NDArray[np.generic]
Inputs: TypeAlias = "pd.DataFrame | npt.NDArray[np.float64]"
Ask: TypeAlias = Callable[[Inputs], RawOutputs]
"""A function from rows to their outputs: labels (None: the most probable classes) and probabilities by `classes_`; of
an estimator without probabilities the values that it predicts."""

_TIE: Final = 1e-6
"""Two best classes closer than this are a tie, which `predict` decides."""


def way_to_ask(estimator: Estimator) -> Ask:
    """Return a function for labels and probabilities: one call if possible, labels by argmax if that is known equal."""
    both: Callable[[Inputs], tuple[Labels, _Numbers]] | None = getattr(estimator, "predict_with_proba", None)
    if both is not None:
        return lambda inputs: RawOutputs(*both(inputs))
    own: Callable[[Inputs], npt.ArrayLike] | None = getattr(estimator, "predict", None)
    if own is not None and not hasattr(estimator, "predict_proba"):
        return lambda inputs: RawOutputs(None, np.asarray(own(inputs), dtype=np.float64))

    def proba(inputs: Inputs) -> _Numbers:
        # A bare matrix is passed only if it was tried before.
        return np.asarray(estimator.predict_proba(cast("pd.DataFrame", inputs)), dtype=np.float64)

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


def answers_alike_to_a_matrix(ask: Ask, estimator: Estimator, schema: ModelSchema) -> bool:
    """Return whether an estimator fitted on these columns answers the same for their bare matrix, by a trial.

    scikit-learn takes a quarter of a millisecond to check the names and types of a frame; here the schema has checked
    both. An estimator that picks columns by name fails with a matrix, and goes on getting frames.
    """
    if tuple(getattr(estimator, "feature_names_in_", ())) != schema.names:
        return False
    if any(feature.kind == "categorical" for feature in schema.features):
        return False
    # The names are left out on purpose.
    warnings.filterwarnings("ignore", message="X does not have valid feature names", category=UserWarning)
    made_up = np.random.default_rng(0).normal(scale=10, size=(len(schema.names), 16))
    columns = dict(zip(schema.names, made_up, strict=True))
    try:
        said, found = ask(features_frame(schema, columns))
        said_again, found_again = ask(features_matrix(schema, columns))
    except Exception:  # any error: the frame is known to work
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
