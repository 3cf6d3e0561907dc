"""`registered_version`: the candidate in the registry, with its full lineage."""

import dagster as dg

from mlops_dagster.components.keys import key_of
from mlops_dagster.components.partitions import STAGE
from mlops_dagster.components.platform import Platform
from mlops_dagster.components.sensors.retraining_failures import is_over, tried_again
from mlops_dagster.components.views.tables import in_order, numbers_of
from mlops_dagster.loop.spec import ModelSpec
from mlops_dagster.loop.train import register
from mlops_dagster.registry import ModelCard
from mlops_dagster.retraining.candidate import Candidate
from mlops_dagster.retraining.trainer import TrainingSet


def registered_version_asset(spec: ModelSpec) -> dg.AssetsDefinition:
    @dg.asset(
        key=key_of(spec, "registered_version"),
        ins={
            "training_set": dg.AssetIn(key=key_of(spec, "training_set")),
            "candidate": dg.AssetIn(key=key_of(spec, "candidate")),
            "model_card": dg.AssetIn(key=key_of(spec, "model_card")),
        },
        group_name=spec.prefix,
        tags={STAGE: "training"},
        kinds={"registry"},
        owners=list(spec.owners),
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
        return dg.MaterializeResult(
            metadata=in_order(
                {
                    "version": version.version,
                    "trigger": training_set.trigger,
                    "reason": training_set.reason,
                    "champion": "none yet" if champion is None else champion.version,
                    "stage": version.stage.value,
                    "card_page": f"mlops models card {spec.model} {version.version} --html card.html",
                    "digest": version.digest,
                    "as_of": training_set.as_of.isoformat(),
                    **numbers_of(training_set.numbers),
                    **{name: round(value, 4) for name, value in version.metrics.items()},
                    "card": dg.MetadataValue.asset(key_of(spec, "model_card")),
                    "deployment": dg.MetadataValue.asset(key_of(spec, "deployment")),
                    "run": dg.MetadataValue.dagster_run(context.run.run_id),
                    "signed": version.signature is not None,
                    "lineage": dg.MetadataValue.json(dict(version.lineage)),
                }
            )
        )

    return registered_version
