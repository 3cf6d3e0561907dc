"""Monitoring: what was served each hour and how far it drifted, performance by day, labels by week."""

from datetime import datetime, timedelta

import dagster as dg
from dagster._core.definitions.unresolved_asset_job_definition import UnresolvedAssetJobDefinition  # no public name

from mlops_dagster.components.partitions import daily, hourly, missing_range, weekly, windows
from mlops_dagster.components.platform import Platform
from mlops_dagster.components.retraining import retraining_sensor
from mlops_dagster.components.spec import ModelSpec
from mlops_dagster.components.validation import data_docs
from mlops_dagster.monitoring import ValidationResult, Verdict, drift, performance
from mlops_dagster.monitoring import label_drift as label_drift_of
from mlops_dagster.monitoring.batches import validate_hours
from mlops_dagster.monitoring.quarantine import quarantine_of
from mlops_dagster.monitoring.validation_alerts import tell
from mlops_dagster.monitoring.whylogs_profiles import profile_hours
from mlops_dagster.wiring import House

HOURLY = {"mlops/cadence": "hourly"}
"""The tag by which the fleet's hourly job finds the assets of all models."""

NO_CHAMPION = {"verdict": Verdict.CANNOT_TELL.value, "reason": "no champion"}


def monitoring_defs(spec: ModelSpec) -> dg.Definitions:
    """The groups `serving` and `monitoring`, their daily and weekly jobs and schedules, and the retraining sensor."""
    performance = _job(
        spec, "performance", "performance_report", "Accuracy, F1, latency and errors per version, by day."
    )
    label_drift = _job(spec, "label_drift", "label_drift", "Chi-squared of a week's labels against the baseline.")
    return dg.Definitions(
        assets=[_prediction_batch(spec), _drift_report(spec), _performance_report(spec), _label_drift(spec)],
        jobs=[performance, label_drift],
        schedules=[
            # Noon: by then the labels of the day before are in.
            _schedule(spec, performance.name, "performance_report", daily(), "0 12 * * *"),
            _schedule(spec, label_drift.name, "label_drift", weekly(), "0 13 * * 1"),
        ],
        sensors=[retraining_sensor(spec)],
    )


def _prediction_batch(spec: ModelSpec) -> dg.AssetsDefinition:
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
        backfill_policy=dg.BackfillPolicy.single_run(),
        check_specs=[suite_passes],
        description="The predictions of an hour, from the log. `drift_report` follows.",
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
        tell(house.alerts, spec.model, "validation", found, place=quarantine_of(home, spec.model))
        for key, start, _end in hours:
            hour = found.get(start, ValidationResult(rows=0))
            context.add_asset_metadata(
                {
                    "rows": hour.rows,
                    "validation": hour.verdict,
                    "failures": list(hour.failures),
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


def _drift_report(spec: ModelSpec) -> dg.AssetsDefinition:
    within_limits = dg.AssetCheckSpec(
        "within_limits", asset=spec.key("drift_report"), description="No feature over its limit, no elevated score."
    )

    @dg.asset(
        key=spec.key("drift_report"),
        deps=[spec.key("prediction_batch")],
        group_name="monitoring",
        kinds={"python", "whylogs"},
        owners=list(spec.owners),
        tags=HOURLY,
        partitions_def=hourly(),
        backfill_policy=dg.BackfillPolicy.single_run(),
        check_specs=[within_limits],
        description="PSI of each feature and KS of the score, trailing 24 h against the champion's baseline. "
        "A verdict of `retrain` starts the retraining job. Beside it, the hour's whylogs profile of every version.",
    )
    def drift_report(context: dg.AssetExecutionContext, platform: Platform) -> dg.MaterializeResult:  # type: ignore[type-arg]  # Dagster refuses the parameter beside check_specs
        house = platform.stores()
        hours = windows(context)
        verdicts: dict[Verdict, int] = {}
        profiles, told = _profiles(context, house, spec.model, hours[0][1], hours[-1][2])
        for key, start, end in hours:
            champion = house.champion(spec.model, end)
            its_profiles = {"profiles": dg.MetadataValue.json(profiles.get(start, []))}
            if champion is None or champion.baseline is None:
                context.add_asset_metadata({**NO_CHAMPION, **its_profiles}, partition_key=key)
                continue
            counts = house.rollups.feature_counts(spec.model, None, end - timedelta(hours=spec.drift.window_hours), end)
            report = drift(champion.baseline, counts, spec.drift)
            verdicts[report.verdict] = verdicts.get(report.verdict, 0) + 1
            context.add_asset_metadata(
                {
                    "champion": champion.version,
                    "report": dg.MetadataValue.md(report.to_markdown()),
                    **report.metadata(),
                    **its_profiles,
                },
                partition_key=key,
            )
        return dg.MaterializeResult(
            check_results=[
                dg.AssetCheckResult(
                    check_name=within_limits.name,
                    passed=Verdict.RETRAIN not in verdicts,
                    severity=dg.AssetCheckSeverity.WARN,
                    metadata={
                        "hours": len(hours),
                        **{f"hours_{verdict.value}": n for verdict, n in verdicts.items()},
                        "profiles": told,
                    },
                )
            ]
        )

    return drift_report


def _profiles(
    context: dg.AssetExecutionContext, house: House, model: str, since: datetime, until: datetime
) -> tuple[dict[datetime, list[str]], str]:
    """The whylogs profiles of each hour, and what is to be said of them all.

    They are for people to look at: whatever becomes of them, drift is judged.
    """
    try:
        found = profile_hours(house.log, model, since, until, house.profiles)
    except Exception as error:
        context.log.exception("the hours have no whylogs profiles; materialize them again to make up for it")
        return {}, f"not made: {error}"
    return found, f"{sum(map(len, found.values()))} files"


def _performance_report(spec: ModelSpec) -> dg.AssetsDefinition:
    @dg.asset(
        key=spec.key("performance_report"),
        deps=[spec.key("prediction_batch")],
        group_name="monitoring",
        kinds={"duckdb"},
        owners=list(spec.owners),
        partitions_def=daily(),
        backfill_policy=dg.BackfillPolicy.single_run(),
        description="Accuracy, F1, latency and error rate of every version, from the logged predictions of a day "
        "and the labels known by now.",
    )
    def performance_report(context: dg.AssetExecutionContext, platform: Platform) -> dg.MaterializeResult[None]:
        house = platform.stores()
        for key, start, end in windows(context):
            report = performance(house.log.labelled(spec.model, start, end))
            context.add_asset_metadata(report.metadata(), partition_key=key)
        return dg.MaterializeResult()

    return performance_report


def _label_drift(spec: ModelSpec) -> dg.AssetsDefinition:
    @dg.asset(
        key=spec.key("label_drift"),
        deps=[spec.key("prediction_batch")],
        group_name="monitoring",
        kinds={"python"},
        owners=list(spec.owners),
        partitions_def=weekly(),
        backfill_policy=dg.BackfillPolicy.single_run(),
        description="Chi-squared of the labels that became known in a week against the champion's baseline.",
    )
    def label_drift(context: dg.AssetExecutionContext, platform: Platform) -> dg.MaterializeResult[None]:
        house = platform.stores()
        for key, start, end in windows(context):
            champion = house.champion(spec.model, end)
            if champion is None or champion.baseline is None:
                context.add_asset_metadata(NO_CHAMPION, partition_key=key)
                continue
            report = label_drift_of(champion.baseline, house.rollups.label_counts(spec.model, start, end), spec.drift)
            context.add_asset_metadata({"champion": champion.version, **report.metadata()}, partition_key=key)
        return dg.MaterializeResult()

    return label_drift


def _job(spec: ModelSpec, name: str, asset: str, description: str) -> UnresolvedAssetJobDefinition:
    return dg.define_asset_job(
        f"{spec.prefix}_{name}",
        selection=dg.AssetSelection.assets(spec.key(asset)),
        description=description,
    )


def _schedule(
    spec: ModelSpec, job_name: str, asset: str, partitions: dg.TimeWindowPartitionsDefinition, cron: str
) -> dg.ScheduleDefinition:
    @dg.schedule(
        cron,
        name=f"{job_name}_schedule",
        job_name=job_name,
        execution_timezone="UTC",
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description="Requests whatever is missing, in one run.",
    )
    def schedule(context: dg.ScheduleEvaluationContext, platform: Platform) -> dg.RunRequest | dg.SkipReason:
        first = platform.stores().rollups.first_at(spec.model)
        return missing_range(context, [spec.key(asset)], partitions, first=first, job_name=job_name)

    return schedule
