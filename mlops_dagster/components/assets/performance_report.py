"""`performance_report`: accuracy, latency and errors of each version by day, and the consequences for the champion."""

import dagster as dg

from mlops_dagster.components.assets.own import report_asset
from mlops_dagster.components.checks.concept_drift import concept_check, concept_check_spec
from mlops_dagster.components.checks.macro_f1_floor import macro_f1_check, macro_f1_check_spec
from mlops_dagster.components.keys import key_of
from mlops_dagster.components.partitions import DAILY, starts_of
from mlops_dagster.components.platform import Platform
from mlops_dagster.components.policies import publish_policies
from mlops_dagster.components.sensors.training_runs import training_runs
from mlops_dagster.components.views.links import log_of
from mlops_dagster.components.views.reports import not_the_newest
from mlops_dagster.components.views.tables import shown
from mlops_dagster.loop.judging.judge_days import judge_days
from mlops_dagster.loop.shown.champion import concept_entries, floor_entries, floor_in_words
from mlops_dagster.loop.shown.days import day_entries, label_debt_entries, maturity_entries
from mlops_dagster.loop.shown.entries import for_programs
from mlops_dagster.loop.spec import ModelSpec
from mlops_dagster.reports import DAY


def performance_report_asset(spec: ModelSpec) -> dg.AssetsDefinition:
    @report_asset(
        spec,
        "performance_report",
        "monitoring",
        DAILY,
        deps=[key_of(spec, "prediction_batch")],
        kinds={"duckdb"},
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
        said = {key: day_entries(report.content) for key, report in zip(days, judged.reports, strict=True)}
        latest = list(days)[-1]
        # The findings on the champion come first, then the day's tables and numbers.
        said[latest] = {
            **floor_in_words(look),
            **for_programs(floor_entries(spec, look)),
            **concept_entries(judged.last.concept, until),
            **maturity_entries(spec, judged),
            **said[latest],
            **label_debt_entries(judged.debt, until),
        }
        overtaken = not_the_newest(context, stores, spec, latest)
        for key, entries in said.items():
            metadata = shown({**entries, "log": log_of(stores, spec)})
            context.add_asset_metadata({**overtaken, **metadata}, partition_key=key)
        # Dagster shows the last evaluation of a check: an old day made again must not hide the newest day's.
        newest = judged.last if judged.newer is None else judged.newer.content
        return dg.MaterializeResult(
            check_results=[macro_f1_check(spec, newest.floor), concept_check(newest.concept, newest.action)]
        )

    return performance_report
