"""Reports on hours, days and weeks of a model: judged, and as people see them.

Each function takes the beginnings of its periods, in order, by the names that the orchestrator has for them.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from mlops_dagster.documents.texts import counted
from mlops_dagster.errors import RefusedError
from mlops_dagster.loop.judging.compared_versions import versions_to_compare
from mlops_dagster.loop.judging.findings import NO_CHAMPION, outcome_of
from mlops_dagster.loop.judging.judge_days import judge_days
from mlops_dagster.loop.judging.judge_hours import judge_drift, validate_hours
from mlops_dagster.loop.judging.judge_week import judge_weeks
from mlops_dagster.loop.judging.validate_batches import BATCH, validate_batch
from mlops_dagster.loop.retraining.consider import TrainingRuns
from mlops_dagster.loop.shown.champion import concept_entries, floor_entries, floor_in_words
from mlops_dagster.loop.shown.checks import (
    CONCEPT_DRIFT,
    HEADLINE,
    SUITE_PASSES,
    WITHIN_LIMITS,
    CheckResult,
    champion_as_evaluated,
    drift_within_limits,
    headline_over_floor,
    suite_of_hours,
)
from mlops_dagster.loop.shown.comparison import comparison_entries
from mlops_dagster.loop.shown.entries import Data, Entries, FileLink, for_programs, links_to
from mlops_dagster.loop.shown.pages import (
    evidently_page,
    log_of,
    page_of_validation,
    pages_of_hours,
    profiles_of_hours,
)
from mlops_dagster.loop.shown.reports import (
    day_entries,
    drift_entries,
    label_debt_entries,
    label_drift_entries,
    maturity_entries,
    validation_entries,
)
from mlops_dagster.loop.spec import ModelSpec
from mlops_dagster.reports import DAY, HOUR
from mlops_dagster.retraining.batch_scores import BatchFiles, score_batch
from mlops_dagster.rollout.comparison.comparison import Standing
from mlops_dagster.rollout.comparison.same_rows import compare_on_log
from mlops_dagster.stores import Stores


@dataclass(frozen=True, slots=True)
class ShownReports:
    """The entries of the report on each period, by its name, and the results of the checks of all of them."""

    entries: Mapping[str, Entries]
    checks: Mapping[str, CheckResult] = field(default_factory=dict)


def report_on_rows(stores: Stores, spec: ModelSpec, hours: Mapping[str, datetime]) -> ShownReports:
    """Validate the rows of each hour; raises InvalidSuiteError, StorageError."""
    validated = validate_hours(stores, spec, list(hours.values()))
    pages = pages_of_hours(stores, spec, validated.results)
    log = log_of(stores, spec)
    entries = {
        key: {**validation_entries(validated.of(start)), **pages.get(start, {}), **log} for key, start in hours.items()
    }
    return ShownReports(entries, {SUITE_PASSES: suite_of_hours(validated, hours)})


def report_on_drift(stores: Stores, spec: ModelSpec, hours: Mapping[str, datetime]) -> ShownReports:
    """Judge the drift of each hour's window; raises StorageError.

    Each hour has a profile of every version, and the last hour has a page.
    """
    profiles, made = profiles_of_hours(stores, spec.model, min(hours.values()), max(hours.values()) + HOUR)
    found = dict(zip(hours, judge_drift(stores, spec, list(hours.values())), strict=True))
    links = {**log_of(stores, spec), **links_to(spec.model, batch="prediction_batch")}
    entries = {
        key: {**drift_entries(hour), **links, "profiles": Data(profiles.get(hour.start, []))}
        for key, hour in found.items()
    }
    latest = list(hours)[-1]
    entries[latest] |= evidently_page(stores, spec, found[latest], latest)
    return ShownReports(entries, {WITHIN_LIMITS: drift_within_limits(found, made)})


def report_on_performance(
    stores: Stores, spec: ModelSpec, days: Mapping[str, datetime], runs: TrainingRuns
) -> ShownReports:
    """Judge the performance of each day, and the champion by the last one; raises StorageError."""
    judged = judge_days(stores, spec, list(days.values()), runs)
    log = log_of(stores, spec)
    entries = {key: {**day_entries(report.content), **log} for key, report in zip(days, judged.reports, strict=True)}
    latest, look, until = list(days)[-1], judged.last.floor, judged.reports[-1].start + DAY
    # The findings on the champion come first, then the day's tables and numbers.
    entries[latest] = {
        **floor_in_words(look),
        **for_programs(floor_entries(spec, look)),
        **concept_entries(judged.last.concept, until),
        **maturity_entries(spec, judged),
        **entries[latest],
        **label_debt_entries(judged.debt, until),
    }
    # The last result of a check is shown: an old day made again must not hide the newest day's.
    newest = judged.last if judged.newer is None else judged.newer.content
    return ShownReports(
        entries,
        {
            HEADLINE: headline_over_floor(spec, newest.floor),
            CONCEPT_DRIFT: champion_as_evaluated(newest.concept, newest.action),
        },
    )


def report_on_labels(stores: Stores, spec: ModelSpec, weeks: Mapping[str, datetime]) -> ShownReports:
    """Judge the labels that became known in each week; raises StorageError."""
    judged = judge_weeks(stores, spec, list(weeks.values()))
    log = log_of(stores, spec)
    return ShownReports(
        {
            key: {**NO_CHAMPION}
            if found.content.labels is None
            else {
                **label_drift_entries(found.content.labels),
                "reason": found.reason,
                "champion": found.champion,
                **log,
            }
            for key, found in zip(weeks, judged, strict=True)
        }
    )


def report_on_versions(stores: Stores, spec: ModelSpec, champion: str, challenger: str, until: datetime) -> Entries:
    """Compare two versions on the rows before `until` that both may be judged by; raises StorageError.

    An empty name stands for a version of the running rollout or, without one, the champion and the newest other one.
    """
    old, new = versions_to_compare(stores, spec.model, champion, challenger)
    if old is None or new is None:
        reason = "no champion yet" if old is None else "no version beside the champion"
        return {"verdict": Standing.INCONCLUSIVE.value, "reason": reason}
    found = compare_on_log(stores.registry, stores.log, old, new, spec.rollout, until=until)
    links = links_to(spec.model, deployment="deployment", card="model_card")
    return {**comparison_entries(found), **log_of(stores, spec), **links}


def report_on_batch(stores: Stores, spec: ModelSpec, days: Mapping[str, datetime]) -> ShownReports:
    """Validate the rows of one day that are to be scored; raises StorageError."""
    ((key, start),) = days.items()
    found, place = validate_batch(stores, spec, start)
    entries = validation_entries(found)
    page = page_of_validation(stores, spec, BATCH, f"{start:%Y-%m-%d}", found, partition=key)
    kept = f"; {counted(found.rows, 'rows')} quarantined at {place}" if found.rows and found.failures else ""
    said = f"{key}: {outcome_of(found)}{'' if found.passed else f'{kept}; nothing is scored'}"
    return ShownReports(
        {key: {**entries, **page}}, {SUITE_PASSES: CheckResult(found.passed, said, entries, is_error=True)}
    )


def score_day(stores: Stores, spec: ModelSpec, days: Mapping[str, datetime]) -> ShownReports:
    """Score the rows of one day by its champion; raises RefusedError, ModelFailedError, StorageError."""
    ((key, start),) = days.items()
    files, champion = BatchFiles(stores.batch_scores, spec.model, start), stores.champion(spec.model, start + DAY)
    if champion is None:
        raise RefusedError(f"{spec.model} had no champion on {start:%Y-%m-%d}: there is nothing to score with")
    # The gate also holds if this asset is materialized alone: rows exist only once they have passed.
    if not files.has_rows():
        raise RefusedError(f"no rows of {start:%Y-%m-%d} passed their validation; materialize {BATCH} first")
    scored = score_batch(files, champion, stores.registry.load(champion))
    entries: Entries = {
        "version": champion.version,
        "digest": champion.digest,
        "rows": scored.rows,
        "unscored": scored.unscored,
        "scores": FileLink(files.link),
        **links_to(spec.model, deployment="deployment"),
    }
    return ShownReports({key: entries})
