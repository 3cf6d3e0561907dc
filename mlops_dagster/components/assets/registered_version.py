"""`registered_version`: the candidate in the registry, with its full lineage."""

import dagster as dg

from mlops_dagster.components.assets.own import model_asset
from mlops_dagster.components.keys import key_of
from mlops_dagster.components.platform import Platform
from mlops_dagster.components.sensors.retraining_failures import is_over, tried_again
from mlops_dagster.components.views.tables import shown
from mlops_dagster.loop.retraining.train import register
from mlops_dagster.loop.shown.training import version_entries
from mlops_dagster.loop.spec import ModelSpec
from mlops_dagster.registry import ModelCard
from mlops_dagster.retraining.candidate import Candidate
from mlops_dagster.retraining.trainer import TrainingSet


def registered_version_asset(spec: ModelSpec) -> dg.AssetsDefinition:
    @model_asset(
        spec,
        "registered_version",
        "training",
        ins={
            "training_set": dg.AssetIn(key=key_of(spec, "training_set")),
            "candidate": dg.AssetIn(key=key_of(spec, "candidate")),
            "model_card": dg.AssetIn(key=key_of(spec, "model_card")),
        },
        kinds={"registry"},
        description="The candidate under its SHA-256 and the next version number, and the code, environment and run "
        "it comes from. A champion exists already? Then it is a challenger: the rollout sensor takes it from here.",
    )
    def registered_version(
        context: dg.AssetExecutionContext,
        platform: Platform,
        training_set: TrainingSet,
        candidate: Candidate,
        model_card: ModelCard,
    ) -> dg.MaterializeResult[None]:
        with tried_again(context, platform, spec):
            stores = platform.stores()
            champion = stores.champion(spec.model)
            run = {"dagster_run": context.run.run_id}
            version = register(stores, spec, training_set, candidate, model_card, run)
        is_over(platform, spec, version.version)
        links = {
            "card": dg.MetadataValue.asset(key_of(spec, "model_card")),
            "deployment": dg.MetadataValue.asset(key_of(spec, "deployment")),
            "run": dg.MetadataValue.dagster_run(context.run.run_id),
        }
        return dg.MaterializeResult(metadata=shown({**version_entries(training_set, version, champion), **links}))

    return registered_version
