"""`performance_report`: accuracy, latency and errors of each version by day, and the consequences for the champion."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta
from typing import NamedTuple

import dagster as dg

from mlops_dagster.components.checks.accuracy_collapse import tell_of_collapse
from mlops_dagster.components.checks.concept_drift import (
    concept_check,
    concept_check_spec,
    concept_metadata,
    look_at_concept,
    tell_of_concept,
)
from mlops_dagster.components.checks.label_share import tell_of_labels
from mlops_dagster.components.checks.macro_f1_floor import (
    floor_in_words,
    floor_metadata,
    hold_to_floor,
    macro_f1_check,
    macro_f1_check_spec,
    tell_of_floor,
)
from mlops_dagster.components.partitions import STAGE, daily, due_every, windows
from mlops_dagster.components.platform import Platform
from mlops_dagster.components.sensors.retraining import what_follows
from mlops_dagster.components.spec import ModelSpec
from mlops_dagster.components.views.days_of_answers import (
    answers_of,
    card_slices,
    changed_days,
    since_promotion,
)
from mlops_dagster.components.views.links import log_of
from mlops_dagster.components.views.reports import as_it_stands, not_the_newest
from mlops_dagster.components.views.tables import Metadata, for_programs, in_order, table
from mlops_dagster.loop.findings import PERFORMANCE, DayOfPerformance
from mlops_dagster.monitoring import DayOfAnswers, EstimatedPerformance, PerformanceReport, day_of_answers
from mlops_dagster.monitoring.concept.estimated import Places, estimated_performance, places_of
from mlops_dagster.monitoring.concept.outcomes import added_up
from mlops_dagster.monitoring.performance import PerformanceCounts
from mlops_dagster.registry import ModelVersion
from mlops_dagster.rollout.floor.floor import under_floor
from mlops_dagster.rollout.floor.matured import matured_days
from mlops_dagster.stores import Stores
from mlops_dagster.tasks import Task


def performance_report_asset(spec: ModelSpec) -> dg.AssetsDefinition:
    @dg.asset(
        key=spec.key("performance_report"),
        deps=[spec.key("prediction_batch")],
        group_name=spec.prefix,
        tags={STAGE: "monitoring"},
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
        stores = platform.stores()
        days = windows(context)
        latest, until = days[-1][0], days[-1][2]
        now = platform.clock().now()
        champion = stores.champion(spec.model)
        versions = [] if champion is None else stores.registry.list(spec.model)
        tasks = {each.version: each.task for each in versions}
        counted = stores.log.label_counts(spec.model, days[0][1])  # first: labels in between show next time
        said: dict[str, Metadata] = {}
        answers: dict[date, DayOfAnswers] = {}
        found: dict[datetime, DayOfPerformance] = {}
        for key, start, end in days:
            day = count_day_of_model(stores, spec, champion, tasks, start, end)
            labels = counted.get(start.date(), 0)
            said[key] = {
                "versions_table": table(day.performance.table()),
                "slices_table": table(day.performance.slice_table()),
                **day.performance.metadata(),
                "labels_counted": labels,
                "log": log_of(stores, spec),
                **({} if day.estimate is None else _estimated(day.estimate)),
            }
            found[start] = DayOfPerformance(day.performance, labels, day.answers)
            if day.answers is not None:
                answers[start.date()] = day.answers
        overtaken = not_the_newest(context, stores, spec, latest)
        days_of_champion = {} if champion is None else since_promotion(stores, champion, until)
        matured = matured_days(days_of_champion, spec.rollout, until)
        look = hold_to_floor(stores, spec, matured, until)
        concept = None
        then = ""
        if champion is not None:
            # Runs that report again on old days may come after this run, but only this run, of the newest day, alerts.
            again = () if overtaken else changed_days(stores, spec, now)
            known = answers_of(stores, spec, champion, answers, again, matured)
            concept = look_at_concept(stores, spec, champion, known, until)
        found[days[-1][1]] = replace(found[days[-1][1]], floor=look, concept=concept)
        for start, day_found in found.items():
            stores.reports.save(
                PERFORMANCE,
                spec.model,
                start,
                day_found,
                verdict="inconclusive" if day_found.floor is None else day_found.floor.decision.outcome.value,
                reason=f"the champion is judged with {latest}"
                if day_found.floor is None
                else day_found.floor.decision.reason,
                champion=None if champion is None else champion.version,
            )
        if champion is not None and not overtaken:
            tell_of_labels(stores, spec, days_of_champion, until)
            tell_of_floor(stores, spec, look, context.log)
            then = what_follows(stores, spec, champion.version, context.instance, now)
            tell_of_collapse(stores, spec, champion.version, concept, then=then)
            tell_of_concept(
                stores,
                spec,
                champion.version,
                concept,
                under_floor=look is not None and under_floor(spec.performance, look.macro_f1),
                then=then,
            )
        # The findings on the champion come first, then the day's tables and numbers.
        said[latest] = {
            **floor_in_words(look),
            **for_programs(floor_metadata(spec, look)),
            **concept_metadata(concept, until),
            **_maturity(spec, matured, len(days_of_champion)),
            **said[latest],
            **_label_debt(stores, spec, until),
        }
        for key, metadata in said.items():
            context.add_asset_metadata({**overtaken, **in_order(metadata)}, partition_key=key)
        checks = [macro_f1_check(spec, look), concept_check(concept, then)]
        if overtaken:
            checks = [as_it_stands(context.instance, context.asset_key, each) for each in checks]
        return dg.MaterializeResult(check_results=checks)

    return performance_report


def _maturity(spec: ModelSpec, matured: Sequence[date], days: int) -> Metadata:
    """Return the champion's days that are judged, and the labels that the other days lack."""
    return {
        "judged_until": matured[-1].isoformat() if matured else "none yet",
        "judged_days": len(matured),
        "unjudged_days": days - len(matured),
        **for_programs({"labels_needed": f"{spec.rollout.min_label_share:.0%} of a day"}),
    }


class _Day(NamedTuple):
    """The performance in a day's rows, and counts and estimate of the champion's answers; None without a champion."""

    performance: PerformanceReport
    answers: DayOfAnswers | None
    estimate: EstimatedPerformance | None


def count_day_of_model(
    stores: Stores,
    spec: ModelSpec,
    champion: ModelVersion | None,
    tasks: Mapping[str, Task],
    start: datetime,
    end: datetime,
) -> _Day:
    """Read the rows once, some of them at a time: busy models have millions a day."""
    slices = card_slices(champion)
    counts, answers, places = PerformanceCounts(slices, tasks), [], Places()
    baseline = None if champion is None else champion.baseline
    calibration = None if baseline is None else baseline.calibration
    for rows in stores.log.labelled_pieces(spec.model, start, end):
        counts.add(rows)
        if champion is not None:
            answers.append(
                day_of_answers(
                    rows,
                    champion.version,
                    slices=slices,
                    baseline=baseline,
                    bins=spec.drift.bins,
                    task=champion.task,
                )
            )
        if champion is not None and calibration is not None:
            places += places_of(rows, champion.version, calibration)
    estimate = None
    if baseline is not None and calibration is not None:
        estimate = estimated_performance(places, calibration, baseline, spec.concept)
    return _Day(counts.report(), added_up(answers) if answers else None, estimate)


def _estimated(found: EstimatedPerformance) -> Metadata:
    """Return the performance expected from the champion's scores, as a sentence and as numbers."""
    return {"estimate": found.in_words, **for_programs(found.metadata())}


def _label_debt(stores: Stores, spec: ModelSpec, until: datetime) -> Metadata:
    """Return how many answers still await their label, and for how long."""
    debt = stores.rollups.label_debt(spec.model, until - timedelta(days=stores.settings.label_days), until)
    ages = {"oldest": debt.oldest_at, "median": debt.median_at}
    return {
        "label_debt": debt.awaiting,
        "label_debt_answers": debt.answers,
        **{
            f"label_debt_{name}_hours": (until - at) / timedelta(hours=1) for name, at in ages.items() if at is not None
        },
    }
