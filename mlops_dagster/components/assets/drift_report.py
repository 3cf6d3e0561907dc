"""`drift_report`: the drift of each hour's trailing window, with profiles and a page for people to look at."""

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta

import dagster as dg

from mlops_dagster.components.assets.prediction_batch import failed_hours
from mlops_dagster.components.checks.concept_drift import latest_concept
from mlops_dagster.components.partitions import HOURLY, MODEL, STAGE, due_every, hourly, span, windows
from mlops_dagster.components.platform import Platform
from mlops_dagster.components.spec import ModelSpec
from mlops_dagster.components.views.links import back_to, link_of, log_of
from mlops_dagster.components.views.reports import not_the_newest
from mlops_dagster.components.views.tables import for_programs, in_order, table
from mlops_dagster.errors import told
from mlops_dagster.loop.findings import DRIFT, HourOfDrift
from mlops_dagster.monitoring import DriftReport, Verdict
from mlops_dagster.monitoring.drift.trailing import trailing_drift
from mlops_dagster.monitoring.pages.evidently_reports import publish_report
from mlops_dagster.monitoring.pages.whylogs_profiles import profile_hours
from mlops_dagster.registry import ModelVersion
from mlops_dagster.retraining.signals import DriftSignal
from mlops_dagster.retraining.weigh import weigh
from mlops_dagster.stores import Stores

NO_CHAMPION = {"verdict": Verdict.INCONCLUSIVE.value, "reason": "no champion"}

MOST_PLOTS = 12
"""Each feature has a plot if the model has at most this many features; else only the worst PSI has."""


def drift_report_asset(spec: ModelSpec) -> dg.AssetsDefinition:
    within_limits = dg.AssetCheckSpec(
        "within_limits",
        asset=spec.key("drift_report"),
        description=f"WARN when an hour of the run has a feature, not a report-only one, with a PSI over "
        f"{spec.drift.retrain:g}, or scores at a distance D over {spec.drift.ks:g}; either more than chance explains.",
    )

    @dg.asset(
        key=spec.key("drift_report"),
        deps=[spec.key("prediction_batch")],
        group_name=spec.prefix,
        kinds={"python", "whylogs", "evidently"},
        owners=list(spec.owners),
        tags={**HOURLY, STAGE: "monitoring"},
        metadata={MODEL: spec.model},
        partitions_def=hourly(),
        freshness_policy=due_every(timedelta(hours=1)),
        backfill_policy=dg.BackfillPolicy.single_run(),
        check_specs=[within_limits],
        description=f"PSI of each feature and KS of the score, trailing {spec.drift.window_hours:g} h against the "
        "champion's baseline. "
        "Drift that moves the scores or comes with wrong answers asks for a retraining (`retraining` says why or why "
        "not); none does while an hour of the window failed its validation. "
        "Beside it, the hour's whylogs profile of every version, and "
        "an Evidently report of the last hour of a run.",
    )
    def drift_report(context: dg.AssetExecutionContext, platform: Platform) -> dg.MaterializeResult:  # type: ignore[type-arg]  # Dagster refuses the parameter beside check_specs
        stores = platform.stores()
        hours = windows(context)
        judged: list[DriftReport] = []
        sound: dict[str, DriftReport] = {}
        retraining: dict[str, str] = {}
        window = timedelta(hours=spec.drift.window_hours)
        failed = failed_hours(stores, spec.model, hours[0][2] - window, hours[-1][2])
        overtaken = not_the_newest(context, stores, spec, hours[-1][0])
        profiles, made = _profiles(context, stores, spec.model, hours[0][1], hours[-1][2])

        for key, start, end in hours:
            found = trailing_drift(stores.registry, stores.rollups, spec.model, end, spec.drift)
            its_profiles = {"profiles": dg.MetadataValue.json(profiles.get(start, []))}
            if found is None:
                context.add_asset_metadata({**overtaken, **NO_CHAMPION, **its_profiles}, partition_key=key)
                stores.reports.save(DRIFT, spec.model, start, HourOfDrift(), **NO_CHAMPION)
                continue
            bad = [hour for hour in failed if end - window <= hour < end]
            report = _of_sound_hours(found.drift, bad)
            judged.append(report)
            version = found.champion.version
            # Only drift that asks is weighed by labels, as they were known when the hour ended.
            concept = latest_concept(stores, spec.model, version, end) if report.verdict is Verdict.RETRAIN else None
            asks = weigh(DriftSignal.of(report), None if concept is None else concept.harm)
            stores.reports.save(
                DRIFT,
                spec.model,
                start,
                HourOfDrift(report, asks, tuple(bad)),
                verdict=report.verdict.value,
                reason=report.why,
                champion=version,
            )
            if not bad:
                sound[key], retraining[key] = report, asks.reason
            its_page = (
                _evidently(context, stores, spec, found.champion, report, key, end) if key == hours[-1][0] else {}
            )
            said = in_order(
                {
                    **for_programs(report.metadata()),
                    **_first(report),
                    "champion": version,
                    "retraining": asks.reason,
                    **_plots(report),
                    **its_page,
                    "log": log_of(stores, spec),
                    "batch": dg.MetadataValue.asset(spec.key("prediction_batch")),
                    "asks_for_retraining": asks.asks,
                    "failed_hours": [f"{hour:%Y-%m-%dT%H:%MZ}" for hour in bad],
                    **its_profiles,
                }
            )
            context.add_asset_metadata({**overtaken, **said}, partition_key=key)
        over = [key for key, report in sound.items() if _is_over(report)]
        keys = [key for key, _start, _end in hours]
        numbers = {**_in_short(judged, sound.values()), "profiles": made}
        return dg.MaterializeResult(
            check_results=[
                dg.AssetCheckResult(
                    check_name=within_limits.name,
                    passed=not over,
                    severity=dg.AssetCheckSeverity.WARN,
                    description=_beyond(keys, len(judged), over, sound[over[-1]], retraining[over[-1]])
                    if over
                    else _within(keys, judged),
                    metadata={**({"features": table(judged[-1].table())} if judged else {}), **numbers},
                )
            ]
        )

    return drift_report


def _first(report: DriftReport) -> dict[str, object]:
    """Return the entries that people look for first."""
    return {"verdict": report.verdict.value, "reason": report.why, "features": table(report.table())}


def _plots(report: DriftReport) -> dict[str, float]:
    """Return a number for each feature, which Dagster plots over the hours; none if there are many features."""
    if len(report.features) > MOST_PLOTS:
        return {}
    return {f"psi {each.name}": round(each.psi, 4) for each in report.features if each.psi is not None}


def _is_over(report: DriftReport) -> bool:
    return report.verdict is Verdict.RETRAIN or report.score.elevated


def _beyond(hours: Sequence[str], judged: int, over: Sequence[str], last: DriftReport, retraining: str) -> str:
    """Return why the check failed, in a sentence: the last hour beyond the limits, and the retraining it asks for."""
    which = (
        "beyond the limits" if len(hours) == 1 else f"{len(over)} of {judged} hours beyond the limits, last {over[-1]}"
    )
    return f"{span(hours)}: {which}: {last.why}; retraining: {retraining}"


def _within(hours: Sequence[str], judged: Sequence[DriftReport]) -> str:
    """Return why the check passed, in a sentence."""
    if not judged:
        return f"{span(hours)}: no champion with a baseline to be held against"
    which = "not beyond the limits" if len(hours) == 1 else f"no hour of {len(judged)} beyond the limits; the last one"
    return f"{span(hours)}: {which}: {judged[-1].why}"


def _in_short(
    judged: Sequence[DriftReport], sound: Collection[DriftReport]
) -> dict[str, dg.MetadataValue | str | float]:
    """Summarize the hours of a run: verdicts, features that drifted in sound windows, numbers of the last hour."""
    drifted = {name for report in sound for name in report.drifted}
    verdicts = {verdict.value: sum(report.verdict is verdict for report in judged) for verdict in Verdict}
    return {
        "hours": table([{**verdicts, "scores elevated": sum(report.score.elevated for report in sound)}]),
        "drifted": ", ".join(sorted(drifted)) or "none",
        **(judged[-1].headline() if judged else {}),
    }


def _of_sound_hours(report: DriftReport, failed: Sequence[datetime]) -> DriftReport:
    """Withhold the verdict `retrain` if an hour of the window failed its validation: broken data prove no drift."""
    if report.verdict is not Verdict.RETRAIN or not failed:
        return report
    hours = f"{len(failed)} hours of the window failed their validation"
    return report.withheld(f"{hours}, the last {failed[-1]:%Y-%m-%d %H:%M} UTC")


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
    context: dg.AssetExecutionContext,
    stores: Stores,
    spec: ModelSpec,
    champion: ModelVersion,
    report: DriftReport,
    hour: str,
    until: datetime,
) -> dict[str, dg.MetadataValue]:
    """Return the link to the Evidently report of the window that ends with this hour.

    The page is for people to look at: if making it fails, drift is judged all the same.
    """
    if not stores.settings.report_rows:
        return {}
    since = until - timedelta(hours=spec.drift.window_hours)
    try:
        link = publish_report(
            stores.log,
            champion,
            report,
            since,
            until,
            rows=stores.settings.report_rows,
            files=stores.report_pages,
            source=back_to(stores, spec, "drift_report", hour),
        )
    except Exception as error:
        context.log.error(f"the hour has no Evidently report ({told(error)}); materialize it again")
        return {"evidently": dg.MetadataValue.text(f"not made: {told(error)}")}
    if link is None:
        return {"evidently": dg.MetadataValue.text("not made: the log has no rows of the window")}
    return {"evidently": link_of(link)}
