"""The reports of every hour, day and week on a model, which the fleet's jobs make."""

from functools import partial

import dagster as dg

from mlops_dagster.components.assets.own import Made, report, report_asset
from mlops_dagster.components.partitions import DAILY, HOURLY, WEEKLY
from mlops_dagster.components.platform import Platform
from mlops_dagster.components.sensors.training_runs import training_runs
from mlops_dagster.loop.reporting import report_on_drift, report_on_labels, report_on_performance, report_on_rows
from mlops_dagster.loop.spec import ModelSpec


def report_assets(spec: ModelSpec) -> list[dg.AssetsDefinition]:
    """Return the assets `prediction_batch`, `drift_report`, `performance_report` and `label_drift`."""

    @report_asset(spec, "prediction_batch", HOURLY, after="deployment")
    def prediction_batch(context: dg.AssetExecutionContext, platform: Platform) -> Made:
        return report(context, platform, spec, report_on_rows)

    @report_asset(spec, "drift_report", HOURLY, after="prediction_batch")
    def drift_report(context: dg.AssetExecutionContext, platform: Platform) -> Made:
        return report(context, platform, spec, report_on_drift)

    @report_asset(spec, "performance_report", DAILY, after="prediction_batch")
    def performance_report(context: dg.AssetExecutionContext, platform: Platform) -> Made:
        runs = training_runs(context.instance, [spec])[spec.model]
        return report(context, platform, spec, partial(report_on_performance, runs=runs))

    @report_asset(spec, "label_drift", WEEKLY, after="prediction_batch")
    def label_drift(context: dg.AssetExecutionContext, platform: Platform) -> Made:
        return report(context, platform, spec, report_on_labels)

    return [prediction_batch, drift_report, performance_report, label_drift]
