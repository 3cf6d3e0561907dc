"""One YAML file becomes the whole life of a model."""

from pathlib import Path
from typing import Self

import dagster as dg
from pydantic import BaseModel

from mlops_dagster.components.batch_scores import batch_scores_defs
from mlops_dagster.components.by_hand import by_hand_defs
from mlops_dagster.components.champion_challenger import champion_challenger_defs
from mlops_dagster.components.checked_suites import check_suite
from mlops_dagster.components.monitoring import monitoring_defs
from mlops_dagster.components.rollout import rollout_defs
from mlops_dagster.components.spec import ModelSpec
from mlops_dagster.components.training import training_defs
from mlops_dagster.retraining.trainer import check_trainer


class ModelLifecycle(dg.Component):
    """Assets, checks, jobs, schedules and sensors of one model, from its `ModelSpec`."""

    def __init__(self, spec: ModelSpec) -> None:
        self.spec = spec

    @classmethod
    def get_model_cls(cls) -> type[BaseModel]:
        return ModelSpec

    @classmethod
    def load(cls, attributes: BaseModel | None, context: dg.ComponentLoadContext) -> Self:
        if not isinstance(attributes, ModelSpec):
            raise dg.DagsterInvalidDefinitionError(
                f"{context.path} has no attributes; `model` and `trainer` are needed"
            )
        check_trainer(attributes.trainer)
        return cls(_with_suite(attributes, context.path))

    def build_defs(self, context: dg.ComponentLoadContext) -> dg.Definitions:
        return dg.Definitions.merge(
            training_defs(self.spec),
            rollout_defs(self.spec),
            by_hand_defs(self.spec),
            champion_challenger_defs(self.spec),
            monitoring_defs(self.spec),
            *([batch_scores_defs(self.spec)] if self.spec.batch_scores else []),
        )


def _with_suite(spec: ModelSpec, folder: Path) -> ModelSpec:
    """The suite's file is named as it is called beside the YAML; raises InvalidSuiteError if it can never be used."""
    if spec.validation.suite is None:
        return spec
    file = folder.absolute() / spec.validation.suite
    check_suite(file, spec.trainer)
    return spec.model_copy(update={"validation": spec.validation.model_copy(update={"suite": file})})
