"""The component that makes the definitions of a model from one YAML file."""

from typing import Self

import dagster as dg
from pydantic import BaseModel

from mlops_dagster.components.assets.batch_scores import batch_scores_defs
from mlops_dagster.components.assets.deployment import deployment_asset
from mlops_dagster.components.assets.reports import report_assets
from mlops_dagster.components.assets.training import training_defs
from mlops_dagster.components.comparisons import champion_challenger_asset
from mlops_dagster.components.compat import is_check
from mlops_dagster.errors import InvalidDefinitionError, InvalidNameError
from mlops_dagster.loop.checks.checked_models import check_model
from mlops_dagster.loop.checks.checked_suites import with_suite
from mlops_dagster.loop.spec import ModelSpec
from mlops_dagster.names import fold_model
from mlops_dagster.retraining.trainer import check_trainer


class ModelLifecycle(dg.Component):
    """The definitions of one model, from its `ModelSpec`; the loader adds what all models share."""

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
        """Return the model's definitions.

        Raises InvalidNameError if another model has the same name in Dagster, and InvalidDefinitionError if the project
        is not loaded by `mlops_dagster.components.load_from_defs_folder`: then no sensor would look after the model.
        """
        holders = getattr(context.component_tree, "holders", None)
        if holders is None:
            raise InvalidDefinitionError(
                "this project is loaded by dagster.load_from_defs_folder, which makes no sensors for its models; load "
                "it by mlops_dagster.components.load_from_defs_folder"
            )
        holder = holders.get(fold_model(self.model), self)
        if holder is not self:
            raise InvalidNameError(
                f"`model`: {self.model!r} is {holder.model!r} of another folder to Dagster; give it a name that "
                "differs in more than case, '-' and '_'"
            )
        return lifecycle_defs(self.spec)


def lifecycle_defs(spec: ModelSpec) -> dg.Definitions:
    """Return all definitions of one model: its assets, their checks, and the jobs that only it has."""
    return dg.Definitions.merge(
        training_defs(spec),
        dg.Definitions(assets=[deployment_asset(spec), champion_challenger_asset(spec), *report_assets(spec)]),
        *([batch_scores_defs(spec)] if spec.batch_scores else []),
    )
