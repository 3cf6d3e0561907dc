"""A version in memory: its schema, its estimator, and one call that scores rows."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mlops_dagster.errors import InvalidFeaturesError, ModelFailedError
from mlops_dagster.registry.estimators import Estimator
from mlops_dagster.schema import Feature, ModelSchema
from mlops_dagster.serving.protocol import Column
from mlops_dagster.serving.tensors import Value

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

    def __init__(self, version: str, schema: ModelSchema, estimator: Estimator) -> None:
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

    def predict(self, columns: Columns) -> Scores:
        """Score rows given as one list per feature; raises ModelFailedError whatever the estimator does."""
        import pandas as pd

        frame = pd.DataFrame({f.name: _array(f, columns[f.name]) for f in self.schema.features})
        try:
            probabilities = np.asarray(self._estimator.predict_proba(frame), dtype=np.float64)
        except Exception as error:
            raise ModelFailedError(f"version {self.version} raised {type(error).__name__}: {error}") from error
        if probabilities.shape != (len(frame), len(self._classes)) or not np.isfinite(probabilities).all():
            raise ModelFailedError(
                f"version {self.version} returned {probabilities.shape} probabilities for {len(frame)} rows "
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


def _array(feature: Feature, values: Sequence[Value]) -> npt.NDArray[np.float64] | npt.NDArray[np.object_]:
    if feature.kind == "numeric":
        return np.array(values, dtype=np.float64)
    return np.array(values, dtype=np.object_)
