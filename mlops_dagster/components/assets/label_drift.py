"""`label_drift`: the labels that became known in a week, against the champion's baseline."""

from collections.abc import Mapping
from datetime import timedelta

import dagster as dg

from mlops_dagster.components.assets.drift_report import NO_CHAMPION
from mlops_dagster.components.partitions import STAGE, due_every, weekly, windows
from mlops_dagster.components.platform import Platform
from mlops_dagster.components.spec import ModelSpec
from mlops_dagster.components.views.links import log_of
from mlops_dagster.components.views.reports import not_the_newest
from mlops_dagster.components.views.tables import in_order, table
from mlops_dagster.loop.findings import LABELS, WeekOfLabels
from mlops_dagster.monitoring import label_drift as label_drift_of
from mlops_dagster.monitoring.drift.labels import histogram_of
from mlops_dagster.monitoring.served_by import served_by


def label_drift_asset(spec: ModelSpec) -> dg.AssetsDefinition:
    @dg.asset(
        key=spec.key("label_drift"),
        deps=[spec.key("prediction_batch")],
        group_name=spec.prefix,
        tags={STAGE: "monitoring"},
        kinds={"python"},
        owners=list(spec.owners),
        partitions_def=weekly(),
        freshness_policy=due_every(timedelta(weeks=1)),
        backfill_policy=dg.BackfillPolicy.single_run(),
        description="Chi-squared of the labels that became known in a week against the champion's baseline.",
    )
    def label_drift(context: dg.AssetExecutionContext, platform: Platform) -> dg.MaterializeResult[None]:
        stores = platform.stores()
        weeks = windows(context)
        for key, start, end in weeks:
            champion = served_by(stores.registry, stores.rollups, spec.model, start, end)
            if champion is None or champion.baseline is None:
                context.add_asset_metadata(NO_CHAMPION, partition_key=key)
                stores.reports.save(LABELS, spec.model, start, WeekOfLabels(), **NO_CHAMPION)
                continue
            labels = histogram_of(champion.baseline.label.bins, stores.rollups.label_counts(spec.model, start, end))
            hours = (end - start) / timedelta(hours=1)
            report = label_drift_of(champion.baseline, labels, spec.drift, hours=hours)
            stores.reports.save(
                LABELS,
                spec.model,
                start,
                WeekOfLabels(report),
                verdict=report.verdict.value,
                reason=report.why,
                champion=champion.version,
            )
            context.add_asset_metadata(
                {
                    **not_the_newest(context, stores, spec, weeks[-1][0]),
                    **in_order(
                        {
                            **report.metadata(),
                            "reason": report.why,
                            "champion": champion.version,
                            "classes": table(_most_moved(report.shares)),
                            "log": log_of(stores, spec),
                        }
                    ),
                },
                partition_key=key,
            )
        return dg.MaterializeResult()

    return label_drift


def _most_moved(shares: Mapping[str, tuple[float, float]]) -> list[dict[str, str | float]]:
    rows = sorted(shares.items(), key=lambda item: -abs(item[1][1] - item[1][0]))
    return [{"class": label, "share in the baseline": then, "share now": now} for label, (then, now) in rows]
