"""The schema of a model: named features of two kinds, and classes."""

import hashlib
from collections.abc import Iterable, Mapping, Set
from functools import cached_property
from typing import Final, Literal, Self

from pydantic import ValidationInfo, field_validator, model_validator

from mlops_dagster.documents.strict import StrictModel
from mlops_dagster.frames.values import text_of
from mlops_dagster.names import check_class_name, check_feature_name, look_of

STORED: Final = {"stored": True}
"""The validation context for stored schemas: they stay readable, though they may have names that are refused today."""


class Feature(StrictModel):
    """One input column: numbers (float64, null is NaN) or categories (texts, null is None).

    Booleans, integers and Decimals are numbers too; whole numbers and booleans are categories as well, by their text
    (`values.text_of`).
    """

    name: str
    kind: Literal["numeric", "categorical"]
    nullable: bool = True


class ModelSchema(StrictModel):
    """The features, in the order in which the estimator takes them, and the classes that it tells apart.

    Their names keep the rules of `names`. Two features may have names that differ only in case, but not names that look
    the same. Classes may be given as texts, whole numbers or booleans, and become texts: `classes=(0, 1)` means "0" and
    "1".

    The score of a prediction is the probability of the last class when there are two (the class in question, such as
    late flights, fraud or churn), else of the predicted class.

    >>> schema = ModelSchema(features=(Feature(name="hour", kind="numeric"),), classes=("on_time", "late"))
    >>> schema.feature("hour").kind
    'numeric'
    """

    features: tuple[Feature, ...]
    classes: tuple[str, ...]

    @field_validator("classes", mode="before")
    @classmethod
    def _classes_are_texts(cls, classes: object) -> object:
        if isinstance(classes, str | Mapping | Set) or not isinstance(classes, Iterable):
            raise ValueError(
                f"classes are a tuple, in their order: the last of two is the one asked about; got {classes!r}"
            )
        return tuple(text_of(each) for each in classes)

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
        """Return the feature called `name`; raises KeyError."""
        for feature in self.features:
            if feature.name == name:
                return feature
        raise KeyError(name)

    @property
    def digest(self) -> str:
        """SHA-256 of the schema: counts of versions with equal digests share their bins."""
        return hashlib.sha256(self.model_dump_json().encode()).hexdigest()
