"""`prediction_batch`: the rows served each hour, validated hour by hour."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from itertools import groupby

import dagster as dg

from mlops_dagster.alerting import Rule
from mlops_dagster.components.checks.validation import metadata_of, outcome_of, pages_of_hours, suite_in_use
from mlops_dagster.components.partitions import HOURLY, MODEL, STAGE, due_every, hourly, span, windows
from mlops_dagster.components.platform import Platform
from mlops_dagster.components.spec import ModelSpec
from mlops_dagster.components.views.links import log_of
from mlops_dagster.components.views.reports import not_the_newest
from mlops_dagster.components.views.tables import in_order, table
from mlops_dagster.loop.findings import VALIDATION, ValidatedHour
from mlops_dagster.monitoring import ValidationResult, enact_hold, should_hold
from mlops_dagster.monitoring.quarantine import quarantine_of
from mlops_dagster.monitoring.served_by import served_by
from mlops_dagster.monitoring.validation.alerts import tell, tell_errors
from mlops_dagster.monitoring.validation.hourly import validate_hours
from mlops_dagster.registry import ModelVersion
from mlops_dagster.stores import Stores

FAILED = "failed"
"""The value of `validation` in the metadata of an hour whose rows were set aside."""


def prediction_batch_asset(spec: ModelSpec) -> dg.AssetsDefinition:
    suite_passes = dg.AssetCheckSpec(
        "suite_passes",
        asset=spec.key("prediction_batch"),
        description="Great Expectations, hour by hour: a bad hour is quarantined with its rows and named here.",
    )

    @dg.asset(
        key=spec.key("prediction_batch"),
        deps=[spec.key("deployment")],
        group_name=spec.prefix,
        kinds={"deltalake", "greatexpectations"},
        owners=list(spec.owners),
        tags={**HOURLY, STAGE: "serving"},
        metadata={MODEL: spec.model},
        partitions_def=hourly(),
        freshness_policy=due_every(timedelta(hours=1)),
        backfill_policy=dg.BackfillPolicy.single_run(),
        check_specs=[suite_passes],
        description="The predictions of an hour, and what a hold refused, from the log. `drift_report` follows.",
    )
    def prediction_batch(context: dg.AssetExecutionContext, platform: Platform) -> dg.MaterializeResult:  # type: ignore[type-arg]  # Dagster refuses the parameter beside check_specs
        stores = platform.stores()
        hours = windows(context)
        found: dict[datetime, ValidationResult] = {}
        served: dict[datetime, str] = {}
        for champion, since, until in _reigns(stores, spec.model, hours):
            served |= {start: champion.version for _key, start, _end in hours if since <= start < until}
            with suite_in_use(stores, spec):
                found |= validate_hours(
                    stores.log,
                    champion,
                    stores.quarantine,
                    since,
                    until,
                    policy=spec.validation,
                    rows_per_observation=spec.drift.rows_per_observation,
                )
        done = _hold(stores, spec, found, platform.clock().now()) if found else ""
        place = quarantine_of(stores.quarantine, spec.model)
        tell(stores.alerts, spec.model, Rule.VALIDATION, found, place=place, then=done)
        tell_errors(stores.alerts, spec.model, Rule.VALIDATION_ERROR, found)
        pages = pages_of_hours(context, stores, spec, found)
        overtaken = not_the_newest(context, stores, spec, hours[-1][0])
        for key, start, _end in hours:
            hour = found.get(start, ValidationResult(rows=0))
            links = {**pages.get(start, {}), "log": log_of(stores, spec)}
            stores.reports.save(
                VALIDATION,
                spec.model,
                start,
                ValidatedHour(hour.rows, hour.failures, hour.doubts, hour.errors),
                verdict=hour.verdict,
                reason=outcome_of(hour),
                champion=served.get(start),
            )
            context.add_asset_metadata({**overtaken, **in_order({**metadata_of(hour), **links})}, partition_key=key)
        bad = [key for key, start, _end in hours if start in found and found[start].failures]
        blind = [key for key, start, _end in hours if start in found and found[start].errors]
        return dg.MaterializeResult(
            check_results=[
                dg.AssetCheckResult(
                    check_name=suite_passes.name,
                    passed=not bad and not blind,
                    severity=dg.AssetCheckSeverity.WARN,
                    description=_summary(found, [key for key, _start, _end in hours], place, done),
                    metadata={
                        "rows": sum(hour.rows for hour in found.values()),
                        "quarantined_hours": table([{"hour": key} for key in reversed(bad)]),
                        "hours_with_errors": table([{"hour": key} for key in reversed(blind)]),
                    },
                )
            ]
        )

    return prediction_batch


def _summary(found: Mapping[datetime, ValidationResult], hours: Sequence[str], place: str, done: str) -> str:
    """Return why the check passed or failed: the newest hour that did not pass, its failures, and the action taken."""
    bad = sorted(hour for hour, result in found.items() if result.failures or result.errors)
    if not bad:
        if len(hours) == 1:
            return f"{hours[0]}: {''.join(map(outcome_of, found.values())) or 'no rows'}"
        return f"{span(hours)}: {len(found)} of {len(hours)} hours had rows, and all of them passed"
    last = found[bad[-1]]
    rows = sum(found[hour].rows for hour in bad if found[hour].failures)
    then = [f"{rows:,} rows quarantined at {place}" if rows else "nothing was set aside", done]
    return (
        f"{span(hours)}: {len(bad)} of {len(hours)} hours did not pass, the last of {bad[-1]:%Y-%m-%d %H:%M} UTC: "
        f"{outcome_of(last)}; {'; '.join(filter(None, then))}"
    )


def _reigns(
    stores: Stores, model: str, hours: Sequence[tuple[str, datetime, datetime]]
) -> Iterator[tuple[ModelVersion, datetime, datetime]]:
    """Yield each champion and the stretch of hours it served: many hours are validated at once."""
    champions = [
        (served_by(stores.registry, stores.rollups, model, start, end), start, end) for _key, start, end in hours
    ]
    for _version, reign in groupby(champions, key=lambda each: each[0] and each[0].version):
        its = list(reign)
        champion, since, _end = its[0]
        if champion is not None:
            yield champion, since, its[-1][2]


def _hold(stores: Stores, spec: ModelSpec, found: Mapping[datetime, ValidationResult], now: datetime) -> str:
    """Put online serving on hold, or release it, by the policy; return the action taken, for the alert."""
    decided = should_hold(spec.validation, found, now)
    enact_hold(stores.registry, spec.model, decided)
    if decided.action != "hold":
        return ""
    return f"online serving put on hold, until an hour passes or `mlops models release {spec.model} --reason ...`"


def failed_hours(stores: Stores, model: str, since: datetime, until: datetime) -> list[datetime]:
    """Return the hours in [since, until) whose rows were set aside, by their latest validation, in order."""
    begin = since.replace(minute=0, second=0, microsecond=0)
    found = stores.reports.latest(VALIDATION, model, begin, until)
    return [each.start for each in found if each.verdict == FAILED]
