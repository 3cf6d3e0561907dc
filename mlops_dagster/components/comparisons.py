"""The comparison of two versions of a model on the same labelled rows: its asset, and the fleet's job and sensor."""

from collections.abc import Sequence

import dagster as dg

from mlops_dagster.components.assets.own import model_asset
from mlops_dagster.components.keys import key_of
from mlops_dagster.components.platform import AsOf, Platform
from mlops_dagster.components.sensors.own import sensor
from mlops_dagster.components.views import shown
from mlops_dagster.loop.fleet import in_short, look_at_each
from mlops_dagster.loop.judging.compared_versions import comparable_rollout
from mlops_dagster.loop.reporting import report_on_versions
from mlops_dagster.loop.roll_out import in_rollout
from mlops_dagster.loop.shown.fleet import JOBS
from mlops_dagster.loop.spec import ModelSpec

NAME = "champion_challenger"


class Versions(AsOf):
    """The versions to compare: the running rollout's two; without one, the champion and the newest other version."""

    champion: str = ""
    challenger: str = ""


def champion_challenger_asset(spec: ModelSpec) -> dg.AssetsDefinition:
    """Return the asset `champion_challenger`, which has no partitions: it is of all rows up to now."""

    @model_asset(spec, NAME, after=["registered_version", "prediction_batch"])
    def champion_challenger(config: Versions, platform: Platform) -> dg.MaterializeResult[None]:
        found = report_on_versions(platform.stores(), spec, config.champion, config.challenger, config.time(platform))
        return dg.MaterializeResult(metadata=shown(found))

    return champion_challenger


def comparisons_defs(specs: Sequence[ModelSpec]) -> dg.Definitions:
    """Define the job `champion_challenger` over all models, and its sensor."""
    keys = [key_of(spec, NAME) for spec in specs]
    job = dg.define_asset_job(NAME, selection=dg.AssetSelection.assets(*keys), description=JOBS[NAME])

    @sensor(NAME, seconds=60, job_name=NAME)
    def champion_challenger(context: dg.SensorEvaluationContext, platform: Platform) -> dg.SensorResult | dg.SkipReason:
        stores, now = platform.stores(), platform.clock().now()

        def look(spec: ModelSpec) -> dg.RunRequest | str:
            rollout = comparable_rollout(stores, spec.model, now)
            if isinstance(rollout, str):
                return rollout
            config = Versions(champion=rollout.champion, challenger=rollout.challenger, as_of=now.isoformat())
            return dg.RunRequest(
                run_key=f"comparison-{rollout.id}-{now:%Y-%m-%d}",
                asset_selection=[key_of(spec, NAME)],
                run_config=dg.RunConfig(ops={f"{spec.prefix}__{NAME}": config}),
            )

        looks = look_at_each(in_rollout(stores, specs), look)
        requests = [each for each in looks.found.values() if isinstance(each, dg.RunRequest)]
        if requests:  # models that could not be looked at are in the log, and fail a tick without requests
            return dg.SensorResult(requests)
        looks.check()
        said = {model: each for model, each in looks.found.items() if isinstance(each, str)}
        return dg.SkipReason(in_short(said) or "no rollout is running")

    return dg.Definitions(jobs=[job], sensors=[champion_challenger])
