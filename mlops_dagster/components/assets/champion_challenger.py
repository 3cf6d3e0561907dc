"""Comparison of champion and challenger: an asset, its job, and a sensor that runs it once a day during a rollout."""

import dagster as dg

from mlops_dagster.components.keys import key_of
from mlops_dagster.components.partitions import STAGE
from mlops_dagster.components.platform import AsOf, Platform
from mlops_dagster.components.views.comparisons import metadata_of
from mlops_dagster.components.views.links import log_of
from mlops_dagster.loop.spec import ModelSpec
from mlops_dagster.registry import ModelVersion
from mlops_dagster.rollout.comparison.comparison import Standing
from mlops_dagster.rollout.comparison.same_rows import compare_on_log
from mlops_dagster.stores import Stores


class Versions(AsOf):
    """The versions to compare: the running rollout's two; without one, the champion and the newest other version."""

    champion: str = ""
    challenger: str = ""


def champion_challenger_defs(spec: ModelSpec) -> dg.Definitions:
    """Define the asset `champion_challenger`, and a job and a sensor of that name."""
    job = dg.define_asset_job(
        f"{spec.prefix}_champion_challenger",
        selection=dg.AssetSelection.assets(key_of(spec, "champion_challenger")),
        description="Score champion and challenger on the same labelled rows. It never touches traffic.",
    )
    return dg.Definitions(assets=[_champion_challenger(spec)], jobs=[job], sensors=[_sensor(spec, job.name)])


def _champion_challenger(spec: ModelSpec) -> dg.AssetsDefinition:
    @dg.asset(
        key=key_of(spec, "champion_challenger"),
        deps=[key_of(spec, "registered_version"), key_of(spec, "prediction_batch")],
        group_name=spec.prefix,
        tags={STAGE: "rollout"},
        kinds={"python", "deltalake"},
        owners=list(spec.owners),
        description="Both versions on the labelled rows served since the training data of both ended: paired tests, "
        "the slices of the card, and a verdict. A report only: the rollout alone changes the version that serves.",
    )
    def champion_challenger(config: Versions, platform: Platform) -> dg.MaterializeResult[None]:
        now = config.time(platform)
        stores = platform.stores()
        champion, challenger = _versions(stores, spec.model, config)
        if champion is None or challenger is None:
            reason = "no champion yet" if champion is None else "no version beside the champion"
            return dg.MaterializeResult(metadata={"verdict": Standing.INCONCLUSIVE.value, "reason": reason})
        found = compare_on_log(stores.registry, stores.log, champion, challenger, spec.rollout, until=now)
        links = {
            "log": log_of(stores, spec),
            "deployment": dg.MetadataValue.asset(key_of(spec, "deployment")),
            "card": dg.MetadataValue.asset(key_of(spec, "model_card")),
        }
        return dg.MaterializeResult(metadata={**metadata_of(found), **links})

    return champion_challenger


def _versions(stores: Stores, model: str, config: Versions) -> tuple[ModelVersion | None, ModelVersion | None]:
    rollout = stores.rollouts.active(model)
    if rollout is not None:
        named = {"champion": rollout.champion, "challenger": rollout.challenger}
    else:
        champion = stores.champion(model)
        others = [version.version for version in stores.versions(model) if champion and version != champion]
        named = {"champion": champion.version if champion else "", "challenger": others[-1] if others else ""}
    names = (config.champion or named["champion"], config.challenger or named["challenger"])
    old, new = (stores.registry.get(model, name) if name else None for name in names)
    return old, new


def _sensor(spec: ModelSpec, job_name: str) -> dg.SensorDefinition:
    @dg.sensor(
        name=job_name,
        job_name=job_name,
        minimum_interval_seconds=60,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Compares the two versions of a running rollout once a day, from the first labels on.",
    )
    def champion_challenger(context: dg.SensorEvaluationContext, platform: Platform) -> dg.RunRequest | dg.SkipReason:
        now = platform.clock().now()
        stores = platform.stores()
        rollout = stores.rollouts.active(spec.model)
        if rollout is None:
            return dg.SkipReason("no rollout is running")
        if not any(arm.counts.labelled for arm in stores.rollups.events(spec.model, rollout.started_at, now)):
            return dg.SkipReason(f"no labels yet since the rollout of {rollout.challenger} began")
        config = Versions(champion=rollout.champion, challenger=rollout.challenger, as_of=now.isoformat())
        return dg.RunRequest(
            run_key=f"comparison-{rollout.id}-{now:%Y-%m-%d}",
            run_config=dg.RunConfig(ops={f"{spec.prefix}__champion_challenger": config}),
        )

    return champion_challenger
