"""A version in memory: its schema, its estimator, and one call that scores rows."""

import warnings
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from mlops_dagster.errors import InvalidFeaturesError, ModelFailedError
from mlops_dagster.registry import Baseline, GuardPolicy
from mlops_dagster.registry.estimators import Estimator
from mlops_dagster.schema import Feature, ModelSchema
from mlops_dagster.serving.guard import Guard
from mlops_dagster.serving.protocol import Column
from mlops_dagster.serving.tensors import Value

if TYPE_CHECKING:
    import pandas as pd

Columns = Mapping[str, Sequence[Value]]


@dataclass(frozen=True, slots=True)
class Scores:
    """A row has one label, one score, and one probability per class, in the order of the schema."""

    labels: list[str]
    scores: list[float]
    probabilities: list[list[float]]


class LoadedModel:
    """A version that is in memory and ready to score.

    Raises ModelFailedError for an estimator that gives no probabilities or knows other classes than its schema.
    """

    def __init__(
        self, version: str, schema: ModelSchema, estimator: Estimator, baseline: Baseline | None = None
    ) -> None:
        if not hasattr(estimator, "predict_proba"):
            raise ModelFailedError(f"version {version} has no predict_proba ({type(estimator).__name__})")
        self.version = version
        self.schema = schema
        self._estimator = estimator
        self._classes = [str(label) for label in self._estimator.classes_]
        if set(self._classes) != set(schema.classes):
            raise ModelFailedError(f"version {version} tells {self._classes} apart, its schema {schema.classes}")
        self._order = [self._classes.index(name) for name in schema.classes]
        self._asked_for = self._order[-1] if len(self._classes) == 2 else None
        self._takes_arrays = _takes_arrays(estimator, schema)
        self._baseline = baseline
        self._guard = Guard(schema, baseline, GuardPolicy().stretch)

    def guard(self, stretch: float) -> Guard:
        """What requests are held against, with the ranges of the baseline widened by `stretch` widths."""
        if self._guard.stretch != stretch:
            self._guard = Guard(self.schema, self._baseline, stretch)
        return self._guard

    def predict(self, columns: Columns) -> Scores:
        """Score rows given as one list per feature; raises ModelFailedError whatever the estimator does."""
        rows = len(columns[self.schema.names[0]])
        try:
            inputs = to_matrix(self.schema, columns) if self._takes_arrays else to_frame(self.schema, columns)
            answer = self._estimator.predict_proba(inputs)  # type: ignore[arg-type]  # a matrix where it was tried
            probabilities = np.asarray(answer, dtype=np.float64)
        except Exception as error:
            raise ModelFailedError(f"version {self.version} raised {type(error).__name__}: {error}") from error
        if probabilities.shape != (rows, len(self._classes)) or not np.isfinite(probabilities).all():
            raise ModelFailedError(
                f"version {self.version} returned {probabilities.shape} probabilities for {rows} rows "
                f"of {len(self._classes)} classes, or not all of them finite"
            )
        best = probabilities.argmax(axis=1)
        scores = probabilities.max(axis=1) if self._asked_for is None else probabilities[:, self._asked_for]
        return Scores([self._classes[index] for index in best], scores.tolist(), probabilities[:, self._order].tolist())

    def warm_up(self) -> None:
        """Score one made-up row, so that the first real one finds imports and caches ready."""
        with suppress(ModelFailedError):  # a row that nobody sent proves nothing about the model
            self.predict({f.name: [0.0 if f.kind == "numeric" else ""] for f in self.schema.features})


def take_features(schema: ModelSchema, columns: Mapping[str, Column]) -> Columns:
    """The columns `schema` asks for, checked; columns it does not know are left.

    Raises InvalidFeaturesError naming the feature that is missing, null or of the wrong kind.
    """
    return {feature.name: _checked(feature, columns.get(feature.name)) for feature in schema.features}


def _checked(feature: Feature, column: Column | None) -> Sequence[Value]:
    if column is None:
        raise InvalidFeaturesError(f"feature {feature.name!r} is missing; send it, null where it is not known")
    if (column.datatype == "BYTES") is not (feature.kind == "categorical"):
        wanted = "BYTES" if feature.kind == "categorical" else "a number"
        raise InvalidFeaturesError(f"feature {feature.name!r} is {feature.kind}: send {wanted}, not {column.datatype}")
    if not feature.nullable and None in column.values:
        raise InvalidFeaturesError(f"feature {feature.name!r} must not be null")
    return column.values


def to_frame(schema: ModelSchema, columns: Columns) -> "pd.DataFrame":
    """The rows as estimators are fitted on them: one column per feature, float64 or object."""
    import pandas as pd

    return pd.DataFrame({f.name: _array(f, columns[f.name]) for f in schema.features})


def to_matrix(schema: ModelSchema, columns: Columns) -> npt.NDArray[np.float64]:
    """Rows of numbers, float64 of shape (rows, features)."""
    return np.array([columns[name] for name in schema.names], dtype=np.float64).T


def _array(feature: Feature, values: Sequence[Value]) -> npt.NDArray[np.float64] | npt.NDArray[np.object_]:
    if feature.kind == "numeric":
        return np.array(values, dtype=np.float64)
    return np.array(values, dtype=np.object_)


def _takes_arrays(estimator: Estimator, schema: ModelSchema) -> bool:
    """Whether an estimator that was fitted on these columns answers the same to their bare matrix; found by trying.

    scikit-learn looks at a frame's names and types for a quarter of a millisecond; here they come in the schema's
    order, and checked. One that picks columns by name fails with a matrix, and goes on getting frames.
    """
    if tuple(getattr(estimator, "feature_names_in_", ())) != schema.names or _categorical(schema):
        return False
    # The names are left out knowingly.
    warnings.filterwarnings("ignore", message="X does not have valid feature names", category=UserWarning)
    made_up = np.random.default_rng(0).normal(scale=10, size=(len(schema.names), 16))
    columns = {name: values.tolist() for name, values in zip(schema.names, made_up, strict=True)}
    try:
        as_frame = estimator.predict_proba(to_frame(schema, columns))
        as_matrix = estimator.predict_proba(to_matrix(schema, columns))  # type: ignore[arg-type]  # what is tried here
    except Exception:  # of whatever kind: the frame is what it is known to take
        return False
    return np.array_equal(as_frame, as_matrix)


def _categorical(schema: ModelSchema) -> bool:
    return any(feature.kind == "categorical" for feature in schema.features)
