"""`champion_challenger`: the comparison of two versions of a model on the same labelled rows."""

import dagster as dg

from mlops_dagster.components.assets.own import model_asset
from mlops_dagster.components.keys import key_of
from mlops_dagster.components.platform import AsOf, Platform
from mlops_dagster.components.views.links import log_of
from mlops_dagster.components.views.tables import shown
from mlops_dagster.loop.judging.compared_versions import versions_to_compare
from mlops_dagster.loop.shown.comparison import comparison_entries
from mlops_dagster.loop.spec import ModelSpec
from mlops_dagster.rollout.comparison.comparison import Standing
from mlops_dagster.rollout.comparison.same_rows import compare_on_log


class Versions(AsOf):
    """The versions to compare: the running rollout's two; without one, the champion and the newest other version."""

    champion: str = ""
    challenger: str = ""


def champion_challenger_asset(spec: ModelSpec) -> dg.AssetsDefinition:
    @model_asset(
        spec,
        "champion_challenger",
        "rollout",
        deps=[key_of(spec, "registered_version"), key_of(spec, "prediction_batch")],
        kinds={"python", "deltalake"},
        description="Both versions on the labelled rows served since the training data of both ended: paired tests, "
        "the slices of the card, and a verdict. A report only: the rollout alone changes the version that serves.",
    )
    def champion_challenger(config: Versions, platform: Platform) -> dg.MaterializeResult[None]:
        now = config.time(platform)
        stores = platform.stores()
        champion, challenger = versions_to_compare(stores, spec.model, config.champion, config.challenger)
        if champion is None or challenger is None:
            reason = "no champion yet" if champion is None else "no version beside the champion"
            return dg.MaterializeResult(metadata={"verdict": Standing.INCONCLUSIVE.value, "reason": reason})
        found = compare_on_log(stores.registry, stores.log, champion, challenger, spec.rollout, until=now)
        links = {
            "log": log_of(stores, spec),
            "deployment": dg.MetadataValue.asset(key_of(spec, "deployment")),
            "card": dg.MetadataValue.asset(key_of(spec, "model_card")),
        }
        return dg.MaterializeResult(metadata=shown({**comparison_entries(found), **links}))

    return champion_challenger
