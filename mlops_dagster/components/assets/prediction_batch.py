"""`prediction_batch`: the rows served each hour, validated hour by hour."""

import dagster as dg

from mlops_dagster.components.assets.own import report_asset
from mlops_dagster.components.checks.validation import pages_of_hours
from mlops_dagster.components.keys import key_of
from mlops_dagster.components.partitions import HOURLY, starts_of
from mlops_dagster.components.platform import Platform
from mlops_dagster.components.policies import publish_policies
from mlops_dagster.components.views.links import log_of
from mlops_dagster.components.views.reports import not_the_newest
from mlops_dagster.components.views.tables import shown
from mlops_dagster.loop.judging.judge_hours import validate_hours
from mlops_dagster.loop.shown.entries import Table
from mlops_dagster.loop.shown.hours import validation_entries, validation_summary
from mlops_dagster.loop.spec import ModelSpec


def prediction_batch_asset(spec: ModelSpec) -> dg.AssetsDefinition:
    suite_passes = dg.AssetCheckSpec(
        "suite_passes",
        asset=key_of(spec, "prediction_batch"),
        description="Great Expectations, hour by hour: a bad hour is quarantined with its rows and named here.",
    )

    @report_asset(
        spec,
        "prediction_batch",
        "serving",
        HOURLY,
        deps=[key_of(spec, "deployment")],
        kinds={"deltalake", "greatexpectations"},
        check_specs=[suite_passes],
        description="The predictions of an hour, and the requests that a hold refused, from the log. "
        "`drift_report` follows.",
    )
    def prediction_batch(context: dg.AssetExecutionContext, platform: Platform) -> dg.MaterializeResult:  # type: ignore[type-arg]  # Dagster refuses the parameter beside check_specs
        stores = platform.stores()
        publish_policies(stores, spec, context)
        hours = starts_of(context)
        validated = validate_hours(stores, spec, list(hours.values()))
        pages = pages_of_hours(context, stores, spec, validated.results)
        overtaken = not_the_newest(context, stores, spec, list(hours)[-1])
        for key, start in hours.items():
            entries = {**validation_entries(validated.of(start)), **pages.get(start, {}), "log": log_of(stores, spec)}
            context.add_asset_metadata({**overtaken, **shown(entries)}, partition_key=key)
        bad = [key for key, start in hours.items() if validated.of(start).failures]
        blind = [key for key, start in hours.items() if validated.of(start).errors]
        return dg.MaterializeResult(
            check_results=[
                dg.AssetCheckResult(
                    check_name=suite_passes.name,
                    passed=not bad and not blind,
                    severity=dg.AssetCheckSeverity.WARN,
                    description=validation_summary(validated, list(hours)),
                    metadata=shown(
                        {
                            "rows": sum(hour.rows for hour in validated.results.values()),
                            "quarantined_hours": Table.of("hour", bad[::-1]),
                            "hours_with_errors": Table.of("hour", blind[::-1]),
                        }
                    ),
                )
            ]
        )

    return prediction_batch
