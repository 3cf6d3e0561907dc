"""The component that makes all definitions of a model from one YAML file."""

import logging
from functools import cache
from pathlib import Path
from typing import Self

import dagster as dg
from pydantic import BaseModel

from mlops_dagster.components.assets.batch_scores import batch_scores_defs
from mlops_dagster.components.assets.champion_challenger import champion_challenger_defs
from mlops_dagster.components.assets.monitoring import monitoring_defs
from mlops_dagster.components.assets.training import training_defs
from mlops_dagster.components.compat import is_check
from mlops_dagster.components.jobs.manual_actions import by_hand_defs
from mlops_dagster.components.jobs.rollout import rollout_defs
from mlops_dagster.components.refused import RefusedModel
from mlops_dagster.errors import InvalidNameError
from mlops_dagster.loop.checked_models import check_model
from mlops_dagster.loop.checked_suites import check_suite
from mlops_dagster.loop.spec import ModelSpec
from mlops_dagster.names import fold_model
from mlops_dagster.retraining.trainer import check_trainer

logger = logging.getLogger(__name__)


class ModelLifecycle(dg.Component):
    """Assets, checks, jobs, schedules and sensors of one model, from its `ModelSpec`."""

    def __init__(self, spec: ModelSpec) -> None:
        self.spec = spec
        self.model = spec.model

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
        spec = with_suite(attributes, context.path)
        if is_check():
            check_model(spec)
        return cls(spec)

    def build_defs(self, context: dg.ComponentLoadContext) -> dg.Definitions:
        """Return the model's definitions; raises InvalidNameError if another model has the same name in Dagster."""
        if not getattr(context.component_tree, "keeps_models_apart", False):
            _warn_of_plain_loading()
        holder = self._holder_of_its_name(context)
        if holder is not self:
            raise InvalidNameError(
                f"`model`: {self.model!r} is {holder.model!r} of another folder to Dagster; give it a name that "
                "differs in more than case, '-' and '_'"
            )
        return lifecycle_defs(self.spec)

    def _holder_of_its_name(self, context: dg.ComponentLoadContext) -> "ModelLifecycle | RefusedModel":
        """Return the first model in the project with this name in Dagster: two would break the loading of all.

        A refused model keeps its name: another model of that name would act on its rollouts.
        """
        its = fold_model(self.model)
        every = context.component_tree.get_all_components(dg.Component)  # type: ignore[type-abstract]  # none is made
        models = (each for each in every if isinstance(each, ModelLifecycle | RefusedModel))
        return next((each for each in models if fold_model(each.model) == its), self)


@cache
def _warn_of_plain_loading() -> None:
    logger.warning(
        "this project is loaded by dagster.load_from_defs_folder, where one mistake in any model's YAML takes away all "
        "models; load it by mlops_dagster.components.load_from_defs_folder"
    )


def lifecycle_defs(spec: ModelSpec) -> dg.Definitions:
    """Return all definitions of a model."""
    return dg.Definitions.merge(
        training_defs(spec),
        rollout_defs(spec),
        by_hand_defs(spec),
        champion_challenger_defs(spec),
        monitoring_defs(spec),
        *([batch_scores_defs(spec)] if spec.batch_scores else []),
    )


def with_suite(spec: ModelSpec, folder: Path) -> ModelSpec:
    """Make the suite's path absolute, from the YAML's folder; raises InvalidSuiteError if it can never be evaluated."""
    if spec.validation.suite is None:
        return spec
    file = folder.absolute() / spec.validation.suite
    check_suite(file, spec.trainer)
    return spec.model_copy(update={"validation": spec.validation.model_copy(update={"suite": file})})
