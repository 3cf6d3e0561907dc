"""Batch inference: batch_input -> batch_scores, by the day; a day that fails its suite is not scored."""

import dagster as dg

from mlops_dagster.components.assets.own import model_asset
from mlops_dagster.components.checks.validation import data_docs
from mlops_dagster.components.jobs.own import OwnJob
from mlops_dagster.components.keys import key_of
from mlops_dagster.components.partitions import daily, starts_of
from mlops_dagster.components.platform import Platform
from mlops_dagster.components.policies import publish_policies
from mlops_dagster.components.views.links import back_to, link_of
from mlops_dagster.components.views.reports import not_the_newest
from mlops_dagster.components.views.tables import Metadata, shown
from mlops_dagster.errors import ModelFailedError
from mlops_dagster.loop.judging.findings import outcome_of
from mlops_dagster.loop.judging.validate_batches import BATCH, validate_batch
from mlops_dagster.loop.shown.hours import validation_entries
from mlops_dagster.loop.spec import ModelSpec
from mlops_dagster.reports import DAY
from mlops_dagster.retraining.batch_scores import BatchFiles, score_batch

# One run for each day: a failed check stops the rest of its run, and must not stop another day.
_ONE_DAY_A_RUN = dg.BackfillPolicy.multi_run(max_partitions_per_run=1)


def batch_scores_defs(spec: ModelSpec) -> dg.Definitions:
    """Define two assets of the group `serving`, the check between them, and the job over both.

    There is no schedule: only the owner of the rows knows when the rows of a day are complete.
    """
    score = OwnJob(
        f"{spec.prefix}_batch_scores",
        dg.AssetSelection.assets(key_of(spec, BATCH), key_of(spec, "batch_scores")),
        description="Validate the rows of a day and, if they pass, score them.",
    )
    return dg.Definitions(assets=[_batch_input(spec), _batch_scores(spec)], jobs=[score])


def _batch_input(spec: ModelSpec) -> dg.AssetsDefinition:
    suite_passes = dg.AssetCheckSpec(
        "suite_passes",
        asset=key_of(spec, BATCH),
        blocking=True,
        description="Great Expectations: columns, types, null rates, ranges, categories, distributions. "
        "A failure quarantines the rows, and nothing is scored.",
    )

    @model_asset(
        spec,
        BATCH,
        "serving",
        kinds={"pandas", "greatexpectations"},
        partitions_def=daily(),
        backfill_policy=_ONE_DAY_A_RUN,
        check_specs=[suite_passes],
        description="The rows of a day that are to be scored, validated. `batch_scores` follows.",
    )
    def batch_input(context: dg.AssetExecutionContext, platform: Platform) -> dg.MaterializeResult:  # type: ignore[type-arg]  # Dagster refuses the parameter beside check_specs
        ((key, start),) = starts_of(context).items()
        stores = platform.stores()
        publish_policies(stores, spec, context)
        found, place = validate_batch(stores, spec, start)
        if not found.passed:
            context.log.error(f"the rows are not scored: {outcome_of(found)}")
        entries = validation_entries(found)
        name, source = f"{spec.model}/{BATCH}/{start:%Y-%m-%d}", back_to(stores, spec, BATCH, key)
        page = data_docs(context, stores, name, found, source=source)
        kept = f"; {found.rows:,} rows quarantined at {place}" if found.rows and found.failures else ""
        then = "" if found.passed else f"{kept}; nothing is scored"
        return dg.MaterializeResult(
            metadata={**not_the_newest(context, stores, spec, key), **shown({**entries, **page})},
            check_results=[
                dg.AssetCheckResult(
                    check_name=suite_passes.name,
                    passed=found.passed,
                    severity=dg.AssetCheckSeverity.ERROR,
                    description=f"{key}: {outcome_of(found)}{then}",
                    metadata=shown(entries),
                )
            ],
        )

    return batch_input


def _batch_scores(spec: ModelSpec) -> dg.AssetsDefinition:
    @model_asset(
        spec,
        "batch_scores",
        "serving",
        deps=[key_of(spec, BATCH), key_of(spec, "deployment")],
        kinds={"parquet"},
        partitions_def=daily(),
        backfill_policy=_ONE_DAY_A_RUN,
        description="Every row of a day with the prediction and score of that day's champion, its version and digest.",
    )
    def batch_scores(context: dg.AssetExecutionContext, platform: Platform) -> dg.MaterializeResult[None]:
        ((key, start),) = starts_of(context).items()
        stores = platform.stores()
        files = BatchFiles(stores.batch_scores, spec.model, start)
        champion = stores.champion(spec.model, start + DAY)
        if champion is None:
            raise dg.Failure(f"{spec.model} had no champion on {start:%Y-%m-%d}: there is nothing to score with")
        # The gate also holds if this asset is materialized alone: rows exist only once they have passed.
        if not files.has_rows():
            raise dg.Failure(f"no rows of {start:%Y-%m-%d} passed their validation; materialize {BATCH} first")
        try:
            scored = score_batch(files, champion, stores.registry.load(champion))
        except ModelFailedError as error:
            raise dg.Failure(error.told) from None  # the cause of the error may quote a row
        if scored.unscored:
            context.log.warning("%d rows have an infinite number, and no prediction", scored.unscored)
        said: Metadata = {
            "version": champion.version,
            "digest": champion.digest,
            "rows": scored.rows,
            "unscored": scored.unscored,
            "scores": link_of(files.link),
            "deployment": dg.MetadataValue.asset(key_of(spec, "deployment")),
        }
        return dg.MaterializeResult(metadata={**not_the_newest(context, stores, spec, key), **said})

    return batch_scores
