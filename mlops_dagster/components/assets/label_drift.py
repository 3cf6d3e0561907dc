"""`label_drift`: the labels that became known in a week, against the champion's baseline."""

import dagster as dg

from mlops_dagster.components.assets.own import report_asset
from mlops_dagster.components.keys import key_of
from mlops_dagster.components.partitions import WEEKLY, starts_of
from mlops_dagster.components.platform import Platform
from mlops_dagster.components.policies import publish_policies
from mlops_dagster.components.views.links import log_of
from mlops_dagster.components.views.reports import not_the_newest
from mlops_dagster.components.views.tables import shown
from mlops_dagster.loop.judging.findings import NO_CHAMPION
from mlops_dagster.loop.judging.judge_week import judge_weeks
from mlops_dagster.loop.shown.days import label_drift_entries
from mlops_dagster.loop.spec import ModelSpec


def label_drift_asset(spec: ModelSpec) -> dg.AssetsDefinition:
    @report_asset(
        spec,
        "label_drift",
        "monitoring",
        WEEKLY,
        deps=[key_of(spec, "prediction_batch")],
        kinds={"python"},
        description="Chi-squared of the labels that became known in a week against the champion's baseline.",
    )
    def label_drift(context: dg.AssetExecutionContext, platform: Platform) -> dg.MaterializeResult[None]:
        stores = platform.stores()
        publish_policies(stores, spec, context)
        weeks = starts_of(context)
        for key, found in zip(weeks, judge_weeks(stores, spec, list(weeks.values())), strict=True):
            report = found.content.labels
            if report is None:
                context.add_asset_metadata({**NO_CHAMPION}, partition_key=key)
                continue
            told = shown(
                {
                    **label_drift_entries(report),
                    "reason": found.reason,
                    "champion": found.champion,
                    "log": log_of(stores, spec),
                }
            )
            overtaken = not_the_newest(context, stores, spec, list(weeks)[-1])
            context.add_asset_metadata({**overtaken, **told}, partition_key=key)
        return dg.MaterializeResult()

    return label_drift
