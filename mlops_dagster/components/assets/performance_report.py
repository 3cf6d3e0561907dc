"""`performance_report`: accuracy, latency and errors of each version by day, and the consequences for the champion."""

from datetime import datetime, timedelta

import dagster as dg

from mlops_dagster.components.checks.concept_drift import concept_check, concept_check_spec, concept_metadata
from mlops_dagster.components.checks.macro_f1_floor import (
    floor_in_words,
    floor_metadata,
    macro_f1_check,
    macro_f1_check_spec,
)
from mlops_dagster.components.keys import key_of
from mlops_dagster.components.partitions import CADENCE, MODEL, STAGE, daily, due_every, starts_of
from mlops_dagster.components.platform import Platform
from mlops_dagster.components.policies import publish_policies
from mlops_dagster.components.sensors.training_runs import training_runs
from mlops_dagster.components.views.links import log_of
from mlops_dagster.components.views.reports import not_the_newest
from mlops_dagster.components.views.tables import Metadata, for_programs, in_order, table
from mlops_dagster.loop.findings import DayOfPerformance
from mlops_dagster.loop.judge_days import JudgedDays, judge_days
from mlops_dagster.loop.spec import ModelSpec
from mlops_dagster.monitoring import EstimatedPerformance
from mlops_dagster.predictions import LabelDebt
from mlops_dagster.reports import DAY
from mlops_dagster.stores import Stores


def performance_report_asset(spec: ModelSpec) -> dg.AssetsDefinition:
    @dg.asset(
        key=key_of(spec, "performance_report"),
        deps=[key_of(spec, "prediction_batch")],
        group_name=spec.prefix,
        tags={CADENCE: "daily_performance", STAGE: "monitoring"},
        metadata={MODEL: spec.model},
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
        publish_policies(stores, spec, context)
        days = starts_of(context)
        runs = training_runs(context.instance, [spec])[spec.model]
        judged = judge_days(stores, spec, list(days.values()), runs)
        look, until = judged.last.floor, judged.reports[-1].start + DAY
        if judged.newer is None and look is not None and look.decision.under_alert:
            context.log.warning(f"{spec.model} {look.champion}: {look.decision.reason}")
        said = {key: _shown(stores, spec, report.content) for key, report in zip(days, judged.reports, strict=True)}
        latest = list(days)[-1]
        # The findings on the champion come first, then the day's tables and numbers.
        said[latest] = {
            **floor_in_words(look),
            **for_programs(floor_metadata(spec, look)),
            **concept_metadata(judged.last.concept, until),
            **_maturity(spec, judged),
            **said[latest],
            **_label_debt(judged.debt, until),
        }
        overtaken = not_the_newest(context, stores, spec, latest)
        for key, metadata in said.items():
            context.add_asset_metadata({**overtaken, **in_order(metadata)}, partition_key=key)
        # Dagster shows the last evaluation of a check: an old day made again must not hide the newest day's.
        newest = judged.last if judged.newer is None else judged.newer.content
        return dg.MaterializeResult(
            check_results=[macro_f1_check(spec, newest.floor), concept_check(newest.concept, newest.action)]
        )

    return performance_report


def _shown(stores: Stores, spec: ModelSpec, day: DayOfPerformance) -> Metadata:
    """Return the tables and numbers of a day."""
    return {
        "versions_table": table(day.performance.table()),
        "slices_table": table(day.performance.slice_table()),
        **day.performance.metadata(),
        "labels_counted": day.labels,
        "log": log_of(stores, spec),
        **({} if day.estimate is None else _estimated(day.estimate)),
    }


def _maturity(spec: ModelSpec, judged: JudgedDays) -> Metadata:
    """Return the champion's days that are judged, and the labels that the other days lack."""
    return {
        "judged_until": judged.matured[-1].isoformat() if judged.matured else "none yet",
        "judged_days": len(judged.matured),
        "unjudged_days": judged.days_of_champion - len(judged.matured),
        **for_programs({"labels_needed": f"{spec.rollout.min_label_share:.0%} of a day"}),
    }


def _estimated(found: EstimatedPerformance) -> Metadata:
    """Return the performance expected from the champion's scores, as a sentence and as numbers."""
    return {"estimate": found.in_words, **for_programs(found.metadata())}


def _label_debt(debt: LabelDebt, until: datetime) -> Metadata:
    """Return how many answers still await their label, and for how long."""
    ages = {"oldest": debt.oldest_at, "median": debt.median_at}
    return {
        "label_debt": debt.awaiting,
        "label_debt_answers": debt.answers,
        **{
            f"label_debt_{name}_hours": (until - at) / timedelta(hours=1) for name, at in ages.items() if at is not None
        },
    }
