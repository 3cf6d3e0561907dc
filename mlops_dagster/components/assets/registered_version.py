"""`registered_version`: the candidate in the registry, with its full lineage."""

import tempfile
from collections.abc import Mapping
from pathlib import Path

import dagster as dg

from mlops_dagster.components.partitions import STAGE
from mlops_dagster.components.platform import Platform
from mlops_dagster.components.sensors.retraining_failures import is_over, tried_again
from mlops_dagster.components.spec import ModelSpec
from mlops_dagster.components.views.tables import in_order, numbers_of
from mlops_dagster.registry import ModelCard, ModelVersion
from mlops_dagster.retraining.candidate import Candidate
from mlops_dagster.retraining.trainer import TrainingSet
from mlops_dagster.stores import Stores


def registered_version_asset(spec: ModelSpec) -> dg.AssetsDefinition:
    @dg.asset(
        key=spec.key("registered_version"),
        ins={
            "training_set": dg.AssetIn(key=spec.key("training_set")),
            "candidate": dg.AssetIn(key=spec.key("candidate")),
            "model_card": dg.AssetIn(key=spec.key("model_card")),
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
        origin = {
            "as_of": training_set.as_of.isoformat(),
            "trigger": training_set.trigger,
            "reason": training_set.reason,
            **{f"trigger {name}": value for name, value in training_set.numbers.items()},
        }
        with tried_again(context, platform, spec):
            stores = platform.stores_for(spec)
            champion = stores.champion(spec.model)
            lineage = {
                **origin,
                **stores.registry.code_lineage(),
                "dagster_run": context.run.run_id,
                "data": candidate.provenance.digest,
                **_parent(stores, spec.model, champion),
            }
            version = _register(stores, spec.model, candidate, model_card, lineage, f"Trained: {training_set.trigger}")
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
                    "card": dg.MetadataValue.asset(spec.key("model_card")),
                    "deployment": dg.MetadataValue.asset(spec.key("deployment")),
                    "run": dg.MetadataValue.dagster_run(context.run.run_id),
                    "signed": version.signature is not None,
                    "lineage": dg.MetadataValue.json(dict(version.lineage)),
                }
            )
        )

    return registered_version


def _parent(stores: Stores, model: str, champion: ModelVersion | None) -> dict[str, str]:
    """Return the version to improve upon: the champion or, before there is one, the version registered last."""
    parent = champion or next(reversed(stores.versions(model)), None)
    return {} if parent is None else {"parent": parent.version}


def _register(
    stores: Stores, model: str, candidate: Candidate, card: ModelCard, lineage: Mapping[str, str], description: str
) -> ModelVersion:
    with tempfile.TemporaryDirectory() as folder:
        artifact = Path(folder) / "model.skops"
        artifact.write_bytes(candidate.artifact)
        return stores.registry.register(
            model,
            artifact,
            card=card,
            baseline=candidate.baseline,
            schema=candidate.schema,
            metrics=candidate.metrics,
            lineage=lineage,
            description=description,
        )
