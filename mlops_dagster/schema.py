"""What a model takes and gives: named features of two kinds, and classes."""

import hashlib
from functools import cached_property
from typing import Final, Literal, Self

from pydantic import ValidationInfo, model_validator

from mlops_dagster.strict import StrictModel

_TAKEN = {"event_time", "label", "paired", "score", "wrong"}
"""What stands beside the features under these names: in training sets, among counts, among design effects."""

STORED: Final = {"stored": True}
"""The context of schemas that were registered before such names were refused: they stay readable."""


class Feature(StrictModel):
    """One input column: float64 numbers, or strings. Null is NaN or None."""

    name: str
    kind: Literal["numeric", "categorical"]
    nullable: bool = True


class ModelSchema(StrictModel):
    """The features, in the order the estimator takes them, and the classes it tells apart.

    No feature can have the name of what stands beside features: `event_time`, `label`, `paired`, `score`,
    `wrong`.

    The score of a prediction is the probability of the last class when there are two (late flights,
    fraud, churn: the class one asks about), else of the predicted class.

    >>> schema = ModelSchema(features=(Feature(name="hour", kind="numeric"),), classes=("on_time", "late"))
    >>> schema.feature("hour").kind
    'numeric'
    """

    features: tuple[Feature, ...]
    classes: tuple[str, ...]

    @model_validator(mode="after")
    def _names_are_its_own(self, info: ValidationInfo) -> Self:
        names = self.names
        if len(set(names)) != len(names):
            raise ValueError(f"two features have the same name among {names}")
        if info.context is not STORED and (taken := sorted(_TAKEN & set(names))):
            raise ValueError(f"no feature can be called {' or '.join(taken)}: that is beside the features; rename it")
        if len(self.classes) < 2 or len(set(self.classes)) != len(self.classes):
            raise ValueError(f"a classifier needs two or more different classes, got {self.classes}")
        return self

    @cached_property
    def names(self) -> tuple[str, ...]:
        return tuple(feature.name for feature in self.features)

    def feature(self, name: str) -> Feature:
        """The feature called `name`; raises KeyError."""
        for feature in self.features:
            if feature.name == name:
                return feature
        raise KeyError(name)

    @property
    def digest(self) -> str:
        """SHA-256 of the schema: counts of versions with equal digests share their bins."""
        return hashlib.sha256(self.model_dump_json().encode()).hexdigest()
