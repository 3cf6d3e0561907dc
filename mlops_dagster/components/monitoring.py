"""Monitoring: what was served each hour and how far it drifted, performance by day, labels by week."""

from collections.abc import Callable, Mapping
from datetime import date, datetime, timedelta

import dagster as dg
from dagster._core.definitions.unresolved_asset_job_definition import UnresolvedAssetJobDefinition  # no public name

from mlops_dagster.components.concept_drift import (
    ANSWERS,
    card_slices,
    changed_days,
    concept_check,
    concept_check_spec,
    concept_metadata,
    look_at_concept,
)
from mlops_dagster.components.macro_f1_floor import (
    floor_metadata,
    hold_to_floor,
    macro_f1_check,
    macro_f1_check_spec,
    macro_f1_floor_sensor,
)
from mlops_dagster.components.partitions import (
    LONGEST_CATCH_UP,
    daily,
    due_every,
    hourly,
    missing_range,
    weekly,
    windows,
)
from mlops_dagster.components.platform import Platform
from mlops_dagster.components.retraining import retraining_sensor
from mlops_dagster.components.spec import ModelSpec
from mlops_dagster.components.validation import data_docs
from mlops_dagster.monitoring import (
    DayOfAnswers,
    DriftReport,
    ValidationResult,
    Verdict,
    day_of_answers,
    enact_hold,
    performance,
    should_hold,
)
from mlops_dagster.monitoring import label_drift as label_drift_of
from mlops_dagster.monitoring.batches import validate_hours
from mlops_dagster.monitoring.evidently_reports import publish_report
from mlops_dagster.monitoring.quarantine import quarantine_of
from mlops_dagster.monitoring.trailing import trailing_drift
from mlops_dagster.monitoring.validation_alerts import tell
from mlops_dagster.monitoring.whylogs_profiles import profile_hours
from mlops_dagster.registry import ModelVersion
from mlops_dagster.wiring import House

HOURLY = {"mlops/cadence": "hourly"}
"""The tag by which the fleet's hourly job finds the assets of all models."""

LABEL_DEBT_DAYS = timedelta(days=30)
"""What has no label after so long is taken never to get one."""

NO_CHAMPION = {"verdict": Verdict.CANNOT_TELL.value, "reason": "no champion"}


def monitoring_defs(spec: ModelSpec) -> dg.Definitions:
    """The groups `serving` and `monitoring`, their jobs and schedules, and the sensors that retrain or go back."""
    performance = _job(
        spec, "performance", "performance_report", "Accuracy, F1, latency and errors per version, by day."
    )
    label_drift = _job(spec, "label_drift", "label_drift", "Chi-squared of a week's labels against the baseline.")
    return dg.Definitions(
        assets=[_prediction_batch(spec), _drift_report(spec), _performance_report(spec), _label_drift(spec)],
        jobs=[performance, label_drift],
        schedules=[
            # Noon: by then the labels of the day before are in.
            _schedule(spec, performance.name, "performance_report", daily(), "0 12 * * *", changed_days),
            _schedule(spec, label_drift.name, "label_drift", weekly(), "0 13 * * 1"),
        ],
        sensors=[retraining_sensor(spec), macro_f1_floor_sensor(spec)],
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
        freshness_policy=due_every(timedelta(hours=1)),
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
        done = _hold(house, spec, found, platform.clock().now()) if found else ""
        tell(house.alerts, spec.model, "validation", found, place=quarantine_of(home, spec.model), then=done)
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


def _hold(house: House, spec: ModelSpec, found: Mapping[datetime, ValidationResult], now: datetime) -> str:
    """Put online serving on hold, or lift that, as the policy says; what was done, for the alert."""
    decided = should_hold(spec.validation, found, now)
    enact_hold(house.registry, spec.model, decided)
    return "online serving put on hold" if decided.action == "hold" else ""


def _drift_report(spec: ModelSpec) -> dg.AssetsDefinition:
    within_limits = dg.AssetCheckSpec(
        "within_limits", asset=spec.key("drift_report"), description="No feature over its limit, no elevated score."
    )

    @dg.asset(
        key=spec.key("drift_report"),
        deps=[spec.key("prediction_batch")],
        group_name="monitoring",
        kinds={"python", "whylogs", "evidently"},
        owners=list(spec.owners),
        tags=HOURLY,
        partitions_def=hourly(),
        freshness_policy=due_every(timedelta(hours=1)),
        backfill_policy=dg.BackfillPolicy.single_run(),
        check_specs=[within_limits],
        description="PSI of each feature and KS of the score, trailing 24 h against the champion's baseline. "
        "A verdict of `retrain` starts the retraining job. Beside it, the hour's whylogs profile of every version, and "
        "an Evidently report of the last hour of a run.",
    )
    def drift_report(context: dg.AssetExecutionContext, platform: Platform) -> dg.MaterializeResult:  # type: ignore[type-arg]  # Dagster refuses the parameter beside check_specs
        house = platform.stores()
        hours = windows(context)
        verdicts: dict[Verdict, int] = {}
        profiles, told = _profiles(context, house, spec.model, hours[0][1], hours[-1][2])
        for key, start, end in hours:
            found = trailing_drift(house.registry, house.rollups, spec.model, end, spec.drift)
            its_profiles = {"profiles": dg.MetadataValue.json(profiles.get(start, []))}
            if found is None:
                context.add_asset_metadata({**NO_CHAMPION, **its_profiles}, partition_key=key)
                continue
            report = found.drift
            verdicts[report.verdict] = verdicts.get(report.verdict, 0) + 1
            its_page = _evidently(context, house, spec, found.champion, report, end) if end == hours[-1][2] else {}
            context.add_asset_metadata(
                {
                    "champion": found.champion.version,
                    "report": dg.MetadataValue.md(report.to_markdown()),
                    **report.metadata(),
                    **its_profiles,
                    **its_page,
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


def _evidently(
    context: dg.AssetExecutionContext,
    house: House,
    spec: ModelSpec,
    champion: ModelVersion,
    report: DriftReport,
    until: datetime,
) -> dict[str, dg.MetadataValue]:
    """The link to the Evidently report of a window, for people to look at: whatever becomes of it, drift is judged."""
    if not house.settings.report_rows:
        return {}
    since = until - timedelta(hours=spec.drift.window_hours)
    try:
        link = publish_report(
            house.log, champion, report, since, until, spec.drift, rows=house.settings.report_rows, files=house.reports
        )
    except Exception as error:
        context.log.exception("the hour has no Evidently report; materialize it again to make up for it")
        return {"evidently": dg.MetadataValue.text(f"not made: {error}")}
    if link is None:
        return {"evidently": dg.MetadataValue.text("not made: the log has no rows of the window")}
    # A path is for copying: browsers follow no link from a page on a server to a file.
    return {"evidently": dg.MetadataValue.url(link) if "://" in link else dg.MetadataValue.path(link)}


def _performance_report(spec: ModelSpec) -> dg.AssetsDefinition:
    @dg.asset(
        key=spec.key("performance_report"),
        deps=[spec.key("prediction_batch")],
        group_name="monitoring",
        kinds={"duckdb"},
        owners=list(spec.owners),
        partitions_def=daily(),
        freshness_policy=due_every(timedelta(days=1)),
        backfill_policy=dg.BackfillPolicy.single_run(),
        check_specs=[macro_f1_check_spec(spec), concept_check_spec(spec)],
        description="Accuracy, F1, latency and error rate of every version, from the logged predictions of a day "
        "and the labels known by now; made again when more of them come. The latest day holds the champion to its "
        "macro-F1 floor and to its own evaluation.",
    )
    def performance_report(context: dg.AssetExecutionContext, platform: Platform) -> dg.MaterializeResult:  # type: ignore[type-arg]  # Dagster refuses the parameter beside check_specs
        house = platform.stores()
        days = windows(context)
        latest, until = days[-1][0], days[-1][2]
        look = hold_to_floor(house, spec, until, context.log)
        champion = house.champion(spec.model)
        slices = card_slices(champion)
        counted = house.log.label_counts(
            spec.model, days[0][1]
        )  # before the rows: what comes meanwhile shows next time
        said: dict[str, dict[str, object]] = {}
        answers: dict[date, DayOfAnswers] = {}
        for key, start, end in days:
            rows = house.log.labelled(spec.model, start, end)
            said[key] = {**performance(rows, slices).metadata(), "labels_counted": counted.get(start.date(), 0)}
            if champion is not None:
                answers[start.date()] = day_of_answers(
                    rows, champion.version, slices=slices, baseline=champion.baseline, bins=spec.drift.bins
                )
                said[key][ANSWERS] = answers[start.date()].metadata()
        concept = None if champion is None else look_at_concept(house, spec, champion, context.instance, answers, until)
        said[latest] |= {
            **floor_metadata(spec, look),
            **concept_metadata(concept, until),
            **_label_debt(house, spec, until),
        }
        for key, metadata in said.items():
            context.add_asset_metadata(metadata, partition_key=key)
        return dg.MaterializeResult(check_results=[macro_f1_check(spec, look), concept_check(concept)])

    return performance_report


def _label_debt(house: House, spec: ModelSpec, until: datetime) -> dict[str, object]:
    """How many answers still await their label, and for how long."""
    debt = house.rollups.label_debt(spec.model, until - LABEL_DEBT_DAYS, until)
    ages = {"oldest": debt.oldest_at, "median": debt.median_at}
    return {
        "label_debt": debt.awaiting,
        "label_debt_answers": debt.answers,
        **{
            f"label_debt_{name}_hours": (until - at) / timedelta(hours=1) for name, at in ages.items() if at is not None
        },
    }


def _label_drift(spec: ModelSpec) -> dg.AssetsDefinition:
    @dg.asset(
        key=spec.key("label_drift"),
        deps=[spec.key("prediction_batch")],
        group_name="monitoring",
        kinds={"python"},
        owners=list(spec.owners),
        partitions_def=weekly(),
        freshness_policy=due_every(timedelta(weeks=1)),
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
    spec: ModelSpec,
    job_name: str,
    asset: str,
    partitions: dg.TimeWindowPartitionsDefinition,
    cron: str,
    changed: Callable[[House, ModelSpec, dg.DagsterInstance, datetime], set[str]] | None = None,
) -> dg.ScheduleDefinition:
    """`changed` names the partitions whose data are no longer what they were when they were materialized."""

    @dg.schedule(
        cron,
        name=f"{job_name}_schedule",
        job_name=job_name,
        execution_timezone="UTC",
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description="Requests whatever is missing"
        + (" or whose labels have changed since" if changed is not None else "")
        + ", in one run.",
    )
    def schedule(context: dg.ScheduleEvaluationContext, platform: Platform) -> dg.RunRequest | dg.SkipReason:
        house = platform.stores()
        first = house.rollups.first_at(spec.model)
        again: set[str] = set()
        if first is not None and changed is not None:
            again = changed(
                house, spec, context.instance, max(first, context.scheduled_execution_time - LONGEST_CATCH_UP)
            )
        return missing_range(context, [spec.key(asset)], partitions, first=first, job_name=job_name, again=again)

    return schedule
