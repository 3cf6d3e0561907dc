"""`champion_challenger`: the comparison of two versions of a model on the same labelled rows."""

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


def champion_challenger_asset(spec: ModelSpec) -> dg.AssetsDefinition:
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
