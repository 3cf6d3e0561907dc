"""`prediction_batch`: the rows served each hour, validated hour by hour."""

from collections.abc import Sequence
from datetime import timedelta

import dagster as dg

from mlops_dagster.components.checks.validation import metadata_of, pages_of_hours
from mlops_dagster.components.keys import key_of
from mlops_dagster.components.partitions import CADENCE, MODEL, STAGE, due_every, hourly, span, starts_of
from mlops_dagster.components.platform import Platform
from mlops_dagster.components.policies import publish_policies
from mlops_dagster.components.views.links import log_of
from mlops_dagster.components.views.reports import not_the_newest
from mlops_dagster.components.views.tables import in_order, table
from mlops_dagster.loop.findings import outcome_of
from mlops_dagster.loop.judge_hours import ValidatedHours, validate_hours
from mlops_dagster.loop.spec import ModelSpec


def prediction_batch_asset(spec: ModelSpec) -> dg.AssetsDefinition:
    suite_passes = dg.AssetCheckSpec(
        "suite_passes",
        asset=key_of(spec, "prediction_batch"),
        description="Great Expectations, hour by hour: a bad hour is quarantined with its rows and named here.",
    )

    @dg.asset(
        key=key_of(spec, "prediction_batch"),
        deps=[key_of(spec, "deployment")],
        group_name=spec.prefix,
        kinds={"deltalake", "greatexpectations"},
        owners=list(spec.owners),
        tags={CADENCE: "hourly_monitoring", STAGE: "serving"},
        metadata={MODEL: spec.model},
        partitions_def=hourly(),
        freshness_policy=due_every(timedelta(hours=1)),
        backfill_policy=dg.BackfillPolicy.single_run(),
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
            told = {**metadata_of(validated.of(start)), **pages.get(start, {}), "log": log_of(stores, spec)}
            context.add_asset_metadata({**overtaken, **in_order(told)}, partition_key=key)
        bad = [key for key, start in hours.items() if validated.of(start).failures]
        blind = [key for key, start in hours.items() if validated.of(start).errors]
        return dg.MaterializeResult(
            check_results=[
                dg.AssetCheckResult(
                    check_name=suite_passes.name,
                    passed=not bad and not blind,
                    severity=dg.AssetCheckSeverity.WARN,
                    description=_summary(validated, list(hours)),
                    metadata={
                        "rows": sum(hour.rows for hour in validated.results.values()),
                        "quarantined_hours": table([{"hour": key} for key in reversed(bad)]),
                        "hours_with_errors": table([{"hour": key} for key in reversed(blind)]),
                    },
                )
            ]
        )

    return prediction_batch


def _summary(validated: ValidatedHours, hours: Sequence[str]) -> str:
    """Return why the check passed or failed: the newest hour that did not pass, its failures, and the action taken."""
    found = validated.results
    bad = sorted(hour for hour, result in found.items() if result.failures or result.errors)
    if not bad:
        if len(hours) == 1:
            return f"{hours[0]}: {''.join(map(outcome_of, found.values())) or 'no rows'}"
        return f"{span(hours)}: {len(found)} of {len(hours)} hours had rows, and all of them passed"
    last = found[bad[-1]]
    rows = sum(found[hour].rows for hour in bad if found[hour].failures)
    place = f"{rows:,} rows quarantined at {validated.quarantine}" if rows else "nothing was set aside"
    return (
        f"{span(hours)}: {len(bad)} of {len(hours)} hours did not pass, the last of {bad[-1]:%Y-%m-%d %H:%M} UTC: "
        f"{outcome_of(last)}; {'; '.join(filter(None, [place, validated.action]))}"
    )
