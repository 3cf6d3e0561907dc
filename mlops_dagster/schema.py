"""What a model takes and gives: named features of two kinds, and classes."""

import hashlib
from functools import cached_property
from typing import Final, Literal, Self

from pydantic import ValidationInfo, model_validator

from mlops_dagster.names import check_class_name, check_feature_name, look_of
from mlops_dagster.strict import StrictModel

STORED: Final = {"stored": True}
"""The context of schemas that were registered before a name was refused: they stay readable."""


class Feature(StrictModel):
    """One input column: float64 numbers, or strings. Null is NaN or None."""

    name: str
    kind: Literal["numeric", "categorical"]
    nullable: bool = True


class ModelSchema(StrictModel):
    """The features, in the order the estimator takes them, and the classes it tells apart.

    Their names keep the rules of `names`. Features may differ in case only, not in what nobody sees.

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
        if len({look_of(name) for name in self.names}) != len(self.names):
            raise ValueError(f"two features have the same name, or one that looks the same, among {self.names}")
        if info.context is not STORED:
            for name in self.names:
                check_feature_name(name)
            for name in self.classes:
                check_class_name(name)
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
