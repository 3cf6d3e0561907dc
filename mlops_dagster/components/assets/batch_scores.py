"""Batch inference: batch_input -> batch_scores, by the day; a day that fails its suite is not scored."""

from typing import Any

import dagster as dg

from mlops_dagster.components.assets.own import Made, checks_of, model_asset, report
from mlops_dagster.components.jobs.own import OwnJob
from mlops_dagster.components.keys import key_of
from mlops_dagster.components.partitions import DAILY
from mlops_dagster.components.platform import Platform
from mlops_dagster.errors import ModelFailedError, RefusedError
from mlops_dagster.loop.judging.validate_batches import BATCH
from mlops_dagster.loop.reporting import report_on_batch, score_day
from mlops_dagster.loop.shown.fleet import JOBS
from mlops_dagster.loop.spec import ModelSpec


def batch_scores_defs(spec: ModelSpec) -> dg.Definitions:
    """Define two assets of the stage `serving`, the check between them, and the job over both.

    There is no schedule: only the owner of the rows knows when the rows of a day are complete.
    """
    # One run for each day: a failed check stops the rest of its run, and must not stop another day.
    one_run_each = dg.BackfillPolicy.multi_run(max_partitions_per_run=1)
    by_day: dict[str, Any] = {"partitions_def": DAILY.partitions(), "backfill_policy": one_run_each}

    @model_asset(spec, BATCH, check_specs=checks_of(spec, BATCH, blocking=True), **by_day)
    def batch_input(context: dg.AssetExecutionContext, platform: Platform) -> Made:
        return report(context, platform, spec, report_on_batch)

    @model_asset(spec, "batch_scores", after=[BATCH, "deployment"], **by_day)
    def batch_scores(context: dg.AssetExecutionContext, platform: Platform) -> Made:
        try:
            return report(context, platform, spec, score_day)
        except (ModelFailedError, RefusedError) as error:
            raise dg.Failure(error.told) from None  # the cause of the error may quote a row

    both = dg.AssetSelection.assets(key_of(spec, BATCH), key_of(spec, "batch_scores"))
    job = OwnJob(f"{spec.prefix}_batch_scores", both, description=JOBS["batch_scores"])
    return dg.Definitions(assets=[batch_input, batch_scores], jobs=[job])
