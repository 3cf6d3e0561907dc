"""`drift_report`: the drift of each hour's trailing window, with profiles and a page for people to look at."""

from collections.abc import Sequence
from datetime import datetime, timedelta

import dagster as dg

from mlops_dagster.components.keys import key_of
from mlops_dagster.components.partitions import CADENCE, MODEL, STAGE, due_every, hourly, span, starts_of
from mlops_dagster.components.platform import Platform
from mlops_dagster.components.views.links import back_to, link_of, log_of
from mlops_dagster.components.views.reports import not_the_newest
from mlops_dagster.components.views.tables import Metadata, for_programs, in_order, table
from mlops_dagster.errors import told
from mlops_dagster.loop.findings import NO_CHAMPION, HourOfDrift
from mlops_dagster.loop.judge_hours import judge_drift
from mlops_dagster.loop.spec import ModelSpec
from mlops_dagster.monitoring import DriftReport, Verdict
from mlops_dagster.monitoring.pages.evidently_reports import publish_report
from mlops_dagster.monitoring.pages.whylogs_profiles import profile_hours
from mlops_dagster.reports import HOUR, Report
from mlops_dagster.stores import Stores

MOST_PLOTS = 12
"""Each feature has a plot if the model has at most this many features; else only the worst PSI has."""


def drift_report_asset(spec: ModelSpec) -> dg.AssetsDefinition:
    within_limits = dg.AssetCheckSpec(
        "within_limits",
        asset=key_of(spec, "drift_report"),
        description=f"WARN when an hour of the run has a feature, not a report-only one, with a PSI over "
        f"{spec.drift.retrain:g}, or scores at a distance D over {spec.drift.ks:g}; either more than chance explains.",
    )

    @dg.asset(
        key=key_of(spec, "drift_report"),
        deps=[key_of(spec, "prediction_batch")],
        group_name=spec.prefix,
        kinds={"python", "whylogs", "evidently"},
        owners=list(spec.owners),
        tags={CADENCE: "hourly_monitoring", STAGE: "monitoring"},
        metadata={MODEL: spec.model},
        partitions_def=hourly(),
        freshness_policy=due_every(timedelta(hours=1)),
        backfill_policy=dg.BackfillPolicy.single_run(),
        check_specs=[within_limits],
        description=f"PSI of each feature and KS of the score, trailing {spec.drift.window_hours:g} h against the "
        "champion's baseline. "
        "Drift that moves the scores or comes with wrong answers asks for a retraining (`retraining` says why or why "
        "not); none does while an hour of the window failed its validation. "
        "It comes with the hour's whylogs profile of every version, and "
        "an Evidently report of the last hour of a run.",
    )
    def drift_report(context: dg.AssetExecutionContext, platform: Platform) -> dg.MaterializeResult:  # type: ignore[type-arg]  # Dagster refuses the parameter beside check_specs
        stores = platform.stores()
        hours = starts_of(context)
        first, last = min(hours.values()), max(hours.values())
        overtaken = not_the_newest(context, stores, spec, list(hours)[-1])
        profiles, made = _profiles(context, stores, spec.model, first, last + HOUR)
        found = dict(zip(hours, judge_drift(stores, spec, list(hours.values())), strict=True))
        for key, hour in found.items():
            page = _evidently(context, stores, spec, hour, key) if hour.start == last else {}
            its_profiles = {"profiles": dg.MetadataValue.json(profiles.get(hour.start, []))}
            said = {**_shown(stores, spec, hour), **page, **its_profiles}
            context.add_asset_metadata({**overtaken, **in_order(said)}, partition_key=key)
        over = [key for key, hour in found.items() if _is_over(hour.content)]
        judged = [hour.content.drift for hour in found.values() if hour.content.drift is not None]
        return dg.MaterializeResult(
            check_results=[
                dg.AssetCheckResult(
                    check_name=within_limits.name,
                    passed=not over,
                    severity=dg.AssetCheckSeverity.WARN,
                    description=_beyond(list(hours), len(judged), over, found[over[-1]])
                    if over
                    else _within(list(hours), judged),
                    metadata={
                        **({"features": table(judged[-1].table())} if judged else {}),
                        **_in_short([hour.content for hour in found.values()]),
                        "profiles": made,
                    },
                )
            ]
        )

    return drift_report


def _shown(stores: Stores, spec: ModelSpec, hour: Report[HourOfDrift]) -> Metadata:
    """Return the entries of an hour: first those that people look for."""
    report, weighed = hour.content.drift, hour.content.retraining
    if report is None or weighed is None:
        return {**NO_CHAMPION}
    return {
        **for_programs(report.metadata()),
        "verdict": hour.verdict,
        "reason": hour.reason,
        "features": table(report.table()),
        "champion": hour.champion,
        "retraining": weighed.reason,
        **_plots(report),
        "log": log_of(stores, spec),
        "batch": dg.MetadataValue.asset(key_of(spec, "prediction_batch")),
        "asks_for_retraining": weighed.asks,
        "failed_hours": [f"{failed:%Y-%m-%dT%H:%MZ}" for failed in hour.content.failed_hours],
    }


def _plots(report: DriftReport) -> dict[str, float]:
    """Return a number for each feature, which Dagster plots over the hours; none if there are many features."""
    if len(report.features) > MOST_PLOTS:
        return {}
    return {f"psi {each.name}": round(each.psi, 4) for each in report.features if each.psi is not None}


def _is_over(hour: HourOfDrift) -> bool:
    """Return whether an hour is beyond the limits; windows with failed hours are not."""
    report = hour.drift
    return report is not None and not hour.failed_hours and (report.verdict is Verdict.RETRAIN or report.score.elevated)


def _beyond(hours: Sequence[str], judged: int, over: Sequence[str], last: Report[HourOfDrift]) -> str:
    """Return why the check failed, in a sentence: the last hour beyond the limits, and the retraining it asks for."""
    which = (
        "beyond the limits" if len(hours) == 1 else f"{len(over)} of {judged} hours beyond the limits, last {over[-1]}"
    )
    weighed = last.content.retraining
    return f"{span(hours)}: {which}: {last.reason}; retraining: {'' if weighed is None else weighed.reason}"


def _within(hours: Sequence[str], judged: Sequence[DriftReport]) -> str:
    """Return why the check passed, in a sentence."""
    if not judged:
        return f"{span(hours)}: no champion with a baseline to be held against"
    which = "not beyond the limits" if len(hours) == 1 else f"no hour of {len(judged)} beyond the limits; the last one"
    return f"{span(hours)}: {which}: {judged[-1].why}"


def _in_short(hours: Sequence[HourOfDrift]) -> Metadata:
    """Summarize the hours of a run: verdicts, features that drifted in sound windows, numbers of the last hour."""
    judged = [hour.drift for hour in hours if hour.drift is not None]
    sound = [hour.drift for hour in hours if hour.drift is not None and not hour.failed_hours]
    verdicts = {verdict.value: sum(report.verdict is verdict for report in judged) for verdict in Verdict}
    return {
        "hours": table([{**verdicts, "scores elevated": sum(report.score.elevated for report in sound)}]),
        "drifted": ", ".join(sorted({name for report in sound for name in report.drifted})) or "none",
        **(judged[-1].headline() if judged else {}),
    }


def _profiles(
    context: dg.AssetExecutionContext, stores: Stores, model: str, since: datetime, until: datetime
) -> tuple[dict[datetime, list[str]], str]:
    """Make the whylogs profiles of each hour; return them, and a text on all of them.

    Profiles are for people to look at: if making them fails, drift is judged all the same.
    """
    try:
        found = profile_hours(stores.log, model, since, until, stores.profiles)
    except Exception as error:
        context.log.error(f"the hours have no whylogs profiles ({told(error)}); materialize them again")
        return {}, f"not made: {told(error)}"
    return found, f"{sum(map(len, found.values()))} files"


def _evidently(
    context: dg.AssetExecutionContext, stores: Stores, spec: ModelSpec, hour: Report[HourOfDrift], key: str
) -> dict[str, dg.MetadataValue]:
    """Return the link to the Evidently report of the window that ends with this hour.

    The page is for people to look at: if making it fails, drift is judged all the same.
    """
    if hour.champion is None or hour.content.drift is None or not stores.settings.report_rows:
        return {}
    until = hour.start + HOUR
    try:
        link = publish_report(
            stores.log,
            stores.registry.get(spec.model, hour.champion),
            hour.content.drift,
            until - timedelta(hours=spec.drift.window_hours),
            until,
            rows=stores.settings.report_rows,
            files=stores.report_pages,
            source=back_to(stores, spec, "drift_report", key),
        )
    except Exception as error:
        context.log.error(f"the hour has no Evidently report ({told(error)}); materialize it again")
        return {"evidently": dg.MetadataValue.text(f"not made: {told(error)}")}
    if link is None:
        return {"evidently": dg.MetadataValue.text("not made: the log has no rows of the window")}
    return {"evidently": link_of(link)}
