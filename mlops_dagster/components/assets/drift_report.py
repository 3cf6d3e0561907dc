"""`drift_report`: the drift of each hour's trailing window, with profiles and a page for people to look at."""

from datetime import datetime, timedelta

import dagster as dg

from mlops_dagster.components.assets.own import report_asset
from mlops_dagster.components.keys import key_of
from mlops_dagster.components.partitions import HOURLY, starts_of
from mlops_dagster.components.platform import Platform
from mlops_dagster.components.views.links import back_to, link_of, log_of
from mlops_dagster.components.views.reports import not_the_newest
from mlops_dagster.components.views.tables import shown
from mlops_dagster.errors import told
from mlops_dagster.loop.judging.findings import HourOfDrift
from mlops_dagster.loop.judging.judge_hours import judge_drift
from mlops_dagster.loop.shown.hours import drift_entries, drift_in_short, drift_summary, is_over
from mlops_dagster.loop.spec import ModelSpec
from mlops_dagster.monitoring.pages.evidently_reports import publish_report
from mlops_dagster.monitoring.pages.whylogs_profiles import profile_hours
from mlops_dagster.reports import HOUR, Report
from mlops_dagster.stores import Stores


def drift_report_asset(spec: ModelSpec) -> dg.AssetsDefinition:
    within_limits = dg.AssetCheckSpec(
        "within_limits",
        asset=key_of(spec, "drift_report"),
        description=f"WARN when an hour of the run has a feature, not a report-only one, with a PSI over "
        f"{spec.drift.retrain:g}, or scores at a distance D over {spec.drift.ks:g}; either more than chance explains.",
    )

    @report_asset(
        spec,
        "drift_report",
        "monitoring",
        HOURLY,
        deps=[key_of(spec, "prediction_batch")],
        kinds={"python", "whylogs", "evidently"},
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
        links = {"log": log_of(stores, spec), "batch": dg.MetadataValue.asset(key_of(spec, "prediction_batch"))}
        for key, hour in found.items():
            page = _evidently(context, stores, spec, hour, key) if hour.start == last else {}
            its_profiles = {"profiles": dg.MetadataValue.json(profiles.get(hour.start, []))}
            entries = {**drift_entries(hour), **links, **page, **its_profiles}
            context.add_asset_metadata({**overtaken, **shown(entries)}, partition_key=key)
        reports = list(found.values())
        return dg.MaterializeResult(
            check_results=[
                dg.AssetCheckResult(
                    check_name=within_limits.name,
                    passed=not any(is_over(hour.content) for hour in reports),
                    severity=dg.AssetCheckSeverity.WARN,
                    description=drift_summary(list(hours), reports),
                    metadata=shown({**drift_in_short([hour.content for hour in reports]), "profiles": made}),
                )
            ]
        )

    return drift_report


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
