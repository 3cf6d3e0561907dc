"""The schema of a model: named features of two kinds, and a task."""

import hashlib
from functools import cached_property
from typing import Literal, Self

from pydantic import SerializeAsAny, ValidationInfo, field_validator, model_validator

from mlops_dagster.documents.strict import STORED, StrictModel
from mlops_dagster.names import check_feature_name, look_of
from mlops_dagster.tasks import Task, task_of_schema


class Feature(StrictModel):
    """One input column: numbers (float64, null is NaN) or categories (texts, null is None).

    Booleans, integers and Decimals are numbers too; whole numbers and booleans are categories as well, by their text
    (`values.text_of`).
    """

    name: str
    kind: Literal["numeric", "categorical"]
    nullable: bool = True


class ModelSchema(StrictModel):
    """The features, in the order in which the estimator takes them, and the task that it answers.

    Their names keep the rules of `names`. Two features may have names that differ only in case, but not names that look
    the same. In JSON, a task is its `kind` and its fields; an unknown kind is refused.

    >>> from mlops_dagster.tasks import Classification
    >>> hour = Feature(name="hour", kind="numeric")
    >>> schema = ModelSchema(features=(hour,), task=Classification(classes=("on_time", "late")))
    >>> schema.feature("hour").kind
    'numeric'
    """

    features: tuple[Feature, ...]
    task: SerializeAsAny[Task]

    @field_validator("task", mode="before")
    @classmethod
    def _task_by_kind(cls, task: object, info: ValidationInfo) -> Task:
        return task_of_schema(task, info.context)

    @model_validator(mode="after")
    def _names_are_its_own(self, info: ValidationInfo) -> Self:
        if len({look_of(name) for name in self.names}) != len(self.names):
            raise ValueError(f"two features have the same name, or one that looks the same, among {self.names}")
        if info.context is not STORED:
            for name in self.names:
                check_feature_name(name)
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
