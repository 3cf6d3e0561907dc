"""`prediction_batch`: what was served each hour, validated hour by hour."""

from collections.abc import Mapping
from datetime import datetime, timedelta

import dagster as dg

from mlops_dagster.components.partitions import HOURLY, due_every, hourly, windows
from mlops_dagster.components.platform import Platform
from mlops_dagster.components.spec import ModelSpec
from mlops_dagster.components.validation import data_docs
from mlops_dagster.monitoring import ValidationResult, enact_hold, should_hold
from mlops_dagster.monitoring.batches import validate_hours
from mlops_dagster.monitoring.quarantine import quarantine_of
from mlops_dagster.monitoring.validation_alerts import tell
from mlops_dagster.wiring import House


def prediction_batch_asset(spec: ModelSpec) -> dg.AssetsDefinition:
    suite_passes = dg.AssetCheckSpec(
        "suite_passes",
        asset=spec.key("prediction_batch"),
        description="Great Expectations, hour by hour: a bad hour is quarantined with its rows and named here.",
    )

    @dg.asset(
        key=spec.key("prediction_batch"),
        deps=[spec.key("deployment")],
        group_name="serving",
        kinds={"deltalake", "greatexpectations"},
        owners=list(spec.owners),
        tags=HOURLY,
        partitions_def=hourly(),
        freshness_policy=due_every(timedelta(hours=1)),
        backfill_policy=dg.BackfillPolicy.single_run(),
        check_specs=[suite_passes],
        description="The predictions of an hour, and what a hold refused, from the log. `drift_report` follows.",
    )
    def prediction_batch(context: dg.AssetExecutionContext, platform: Platform) -> dg.MaterializeResult:  # type: ignore[type-arg]  # Dagster refuses the parameter beside check_specs
        house = platform.stores()
        hours = windows(context)
        since, until = hours[0][1], hours[-1][2]
        champion = house.champion(spec.model, until)
        home = house.settings.home
        found = (
            {}
            if champion is None
            else validate_hours(
                house.log, champion, home, since, until, policy=spec.validation, shared_by=spec.drift.shared_by
            )
        )
        done = _hold(house, spec, found, platform.clock().now()) if found else ""
        tell(house.alerts, spec.model, "validation", found, place=quarantine_of(home, spec.model), then=done)
        for key, start, _end in hours:
            hour = found.get(start, ValidationResult(rows=0))
            context.add_asset_metadata(
                {
                    "rows": hour.rows,
                    "validation": hour.verdict,
                    "failures": list(hour.failures),
                    "doubts": list(hour.doubts),
                    **data_docs(context, house, f"{spec.model}/prediction_batch/{start:%Y-%m-%dT%H}", hour),
                },
                partition_key=key,
            )
        bad = [key for key, start, _end in hours if start in found and not found[start].passed]
        return dg.MaterializeResult(
            check_results=[
                dg.AssetCheckResult(
                    check_name=suite_passes.name,
                    passed=not bad,
                    severity=dg.AssetCheckSeverity.WARN,
                    metadata={
                        "hours": len(hours),
                        "hours_without_rows": len(hours) - len(found),
                        "rows": sum(hour.rows for hour in found.values()),
                        "quarantined_hours": bad,
                    },
                )
            ]
        )

    return prediction_batch


def _hold(house: House, spec: ModelSpec, found: Mapping[datetime, ValidationResult], now: datetime) -> str:
    """Put online serving on hold, or lift that, as the policy says; what was done, for the alert."""
    decided = should_hold(spec.validation, found, now)
    enact_hold(house.registry, spec.model, decided)
    if decided.action != "hold":
        return ""
    return f"online serving put on hold, until an hour passes or `mlops models release {spec.model} --reason ...`"
