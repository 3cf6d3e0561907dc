"""`label_drift`: the labels that became known in a week, against the champion's baseline."""

from collections.abc import Mapping
from datetime import timedelta

import dagster as dg

from mlops_dagster.components.keys import key_of
from mlops_dagster.components.partitions import CADENCE, MODEL, STAGE, due_every, starts_of, weekly
from mlops_dagster.components.platform import Platform
from mlops_dagster.components.policies import publish_policies
from mlops_dagster.components.views.links import log_of
from mlops_dagster.components.views.reports import not_the_newest
from mlops_dagster.components.views.tables import in_order, table
from mlops_dagster.loop.findings import NO_CHAMPION
from mlops_dagster.loop.judge_week import judge_weeks
from mlops_dagster.loop.spec import ModelSpec


def label_drift_asset(spec: ModelSpec) -> dg.AssetsDefinition:
    @dg.asset(
        key=key_of(spec, "label_drift"),
        deps=[key_of(spec, "prediction_batch")],
        group_name=spec.prefix,
        tags={CADENCE: "weekly_label_drift", STAGE: "monitoring"},
        metadata={MODEL: spec.model},
        kinds={"python"},
        owners=list(spec.owners),
        partitions_def=weekly(),
        freshness_policy=due_every(timedelta(weeks=1)),
        backfill_policy=dg.BackfillPolicy.single_run(),
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
            told = {
                **report.metadata(),
                "reason": found.reason,
                "champion": found.champion,
                "classes": table(_most_moved(report.shares)),
                "log": log_of(stores, spec),
            }
            overtaken = not_the_newest(context, stores, spec, list(weeks)[-1])
            context.add_asset_metadata({**overtaken, **in_order(told)}, partition_key=key)
        return dg.MaterializeResult()

    return label_drift


def _most_moved(shares: Mapping[str, tuple[float, float]]) -> list[dict[str, str | float]]:
    rows = sorted(shares.items(), key=lambda item: -abs(item[1][1] - item[1][0]))
    return [{"class": label, "share in the baseline": then, "share now": now} for label, (then, now) in rows]
