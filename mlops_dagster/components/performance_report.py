"""`performance_report`: how right and how quick each version was, by day, and what follows for the champion."""

from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING

import dagster as dg

from mlops_dagster.components.accuracy_collapse import tell_of_collapse
from mlops_dagster.components.concept_drift import (
    ANSWERS,
    card_slices,
    concept_check,
    concept_check_spec,
    concept_metadata,
    look_at_concept,
    tell_of_concept,
)
from mlops_dagster.components.macro_f1_floor import (
    floor_metadata,
    hold_to_floor,
    macro_f1_check,
    macro_f1_check_spec,
    tell_of_floor,
)
from mlops_dagster.components.partitions import daily, due_every, windows
from mlops_dagster.components.platform import Platform
from mlops_dagster.components.reports import is_newest
from mlops_dagster.components.retraining import what_follows
from mlops_dagster.components.spec import ModelSpec
from mlops_dagster.monitoring import (
    DayOfAnswers,
    PerformanceReport,
    day_of_answers,
    estimated_performance,
    performance,
)
from mlops_dagster.registry import Baseline
from mlops_dagster.rollout.floor import under_floor
from mlops_dagster.wiring import House

if TYPE_CHECKING:
    import pyarrow as pa

LABEL_DEBT_DAYS = timedelta(days=30)
"""What has no label after so long is taken never to get one."""


def performance_report_asset(spec: ModelSpec) -> dg.AssetsDefinition:
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
        look = hold_to_floor(house, spec, until)
        champion = house.champion(spec.model)
        slices = card_slices(champion)
        versions = [] if champion is None else house.registry.list(spec.model)
        classes = {each.version: each.schema.classes for each in versions if each.schema is not None}
        counted = house.log.label_counts(
            spec.model, days[0][1]
        )  # before the rows: what comes meanwhile shows next time
        said: dict[str, dict[str, object]] = {}
        answers: dict[date, DayOfAnswers] = {}
        for key, start, end in days:
            rows = house.log.labelled(spec.model, start, end)
            report = performance(rows, slices, classes)
            said[key] = {
                "report": dg.MetadataValue.md(report.to_markdown()),
                **report.metadata(),
                "labels_counted": counted.get(start.date(), 0),
            }
            if champion is not None:
                answers[start.date()] = day_of_answers(
                    rows, champion.version, slices=slices, baseline=champion.baseline, bins=spec.drift.bins
                )
                said[key][ANSWERS] = answers[start.date()].metadata()
                if champion.baseline is not None:
                    said[key] |= _estimated(rows, report, champion.version, champion.baseline, spec)
        concept = None if champion is None else look_at_concept(house, spec, champion, context.instance, answers, until)
        if champion is not None and is_newest(context.instance, context.asset_key, latest):
            tell_of_floor(house, spec, look, context.log)
            then = what_follows(house, spec, champion.version, context.instance, platform.clock().now())
            tell_of_collapse(house, spec, champion.version, concept, then=then)
            tell_of_concept(
                house,
                spec,
                champion.version,
                concept,
                under_floor=look is not None and under_floor(spec.performance, look.macro_f1),
                then=then,
            )
        said[latest] |= {
            **floor_metadata(spec, look),
            **concept_metadata(concept, until),
            **_label_debt(house, spec, until),
        }
        for key, metadata in said.items():
            context.add_asset_metadata(metadata, partition_key=key)
        return dg.MaterializeResult(check_results=[macro_f1_check(spec, look), concept_check(concept)])

    return performance_report


def _estimated(
    rows: "pa.Table", report: PerformanceReport, champion: str, baseline: Baseline, spec: ModelSpec
) -> dict[str, object]:
    """The performance that the champion's scores let one expect, and the day's table with it."""
    found = estimated_performance(rows, champion, baseline, spec.concept)
    if found is None:
        return {}
    return {"report": dg.MetadataValue.md(f"{report.to_markdown()}\n\n{found.to_markdown()}"), **found.metadata()}


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
