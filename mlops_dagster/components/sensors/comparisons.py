"""The fleet's job and sensor that compare the two versions of each running rollout once a day."""

from collections.abc import Sequence

import dagster as dg

from mlops_dagster.components.assets.champion_challenger import Versions
from mlops_dagster.components.keys import key_of
from mlops_dagster.components.platform import Platform
from mlops_dagster.loop.fleet import in_short, look_at_each
from mlops_dagster.loop.spec import ModelSpec

NAME = "champion_challenger"


def comparisons_defs(specs: Sequence[ModelSpec]) -> dg.Definitions:
    """Define the job `champion_challenger` over all models, and its sensor."""
    keys = {spec.model: key_of(spec, NAME) for spec in specs}
    job = dg.define_asset_job(
        NAME,
        selection=dg.AssetSelection.assets(*keys.values()),
        description="Score champion and challenger on the same labelled rows, for every model. It never touches "
        "traffic. Select one model's asset to compare only its versions.",
    )

    @dg.sensor(
        name=NAME,
        job_name=NAME,
        minimum_interval_seconds=60,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Compares the two versions of each running rollout once a day, from the first labels on.",
    )
    def champion_challenger(context: dg.SensorEvaluationContext, platform: Platform) -> dg.SensorResult | dg.SkipReason:
        stores, now = platform.stores(), platform.clock().now()

        def look(spec: ModelSpec) -> dg.RunRequest | str:
            rollout = stores.rollouts.active(spec.model)
            if rollout is None:
                return "no rollout is running"
            if not any(arm.counts.labelled for arm in stores.rollups.events(spec.model, rollout.started_at, now)):
                return f"no labels yet since the rollout of {rollout.challenger} began"
            config = Versions(champion=rollout.champion, challenger=rollout.challenger, as_of=now.isoformat())
            return dg.RunRequest(
                run_key=f"comparison-{rollout.id}-{now:%Y-%m-%d}",
                asset_selection=[keys[spec.model]],
                run_config=dg.RunConfig(ops={f"{spec.prefix}__{NAME}": config}),
            )

        running = stores.rollouts.running_models()
        looks = look_at_each((spec for spec in specs if spec.model in running), look)
        requests = [each for each in looks.found.values() if isinstance(each, dg.RunRequest)]
        if requests:  # models that could not be looked at are in the log, and fail a tick without requests
            return dg.SensorResult(requests)
        looks.check()
        said = {model: each for model, each in looks.found.items() if isinstance(each, str)}
        return dg.SkipReason(in_short(said) or "no rollout is running")

    return dg.Definitions(jobs=[job], sensors=[champion_challenger])
