"""Training: training_set -> candidate -> model_card -> registered_version, in one run."""

import dagster as dg

from mlops_dagster.components.assets.own import check_arguments, model_asset
from mlops_dagster.components.jobs.own import OwnJob
from mlops_dagster.components.platform import AsOf, Platform, publish_policies
from mlops_dagster.components.sensors.retraining_failures import retraining_tags, tried_again
from mlops_dagster.components.sensors.training_runs import retrain_job
from mlops_dagster.components.views import check_result, shown
from mlops_dagster.loop.retraining import train
from mlops_dagster.loop.retraining.failures import tell_failed_suite, tell_success
from mlops_dagster.loop.shown.checks import GATES_OPEN, SUITE_PASSES, gates_of_production, suite_of_training
from mlops_dagster.loop.shown.fleet import JOBS
from mlops_dagster.loop.shown.pages import page_of_validation
from mlops_dagster.loop.shown.training import candidate_entries, card_entries, training_set_entries, version_entries
from mlops_dagster.loop.spec import ModelSpec
from mlops_dagster.registry import ModelCard
from mlops_dagster.retraining.candidate import Candidate
from mlops_dagster.retraining.trainer import TrainingSet


class TrainingRun(AsOf):
    """The configuration of a training run: its trigger, the reason, and the time as of which it trains."""

    trigger: str = "by hand"
    reason: str = ""
    numbers: dict[str, str] = {}  # noqa: RUF012  # Dagster copies it


def training_defs(spec: ModelSpec) -> dg.Definitions:
    """Define the assets of the group `training`, the checks on the training set and gates, and the job `retrain`."""
    assets = _assets(spec)
    job = OwnJob(
        retrain_job(spec),
        dg.AssetSelection.assets(*(asset.key for asset in assets)),
        description=JOBS["retrain"],
        tags=retraining_tags(spec),
        executor_def=dg.in_process_executor,  # with any default executor: killing a step also kills the run
    )
    return dg.Definitions(assets=assets, asset_checks=_checks(spec), jobs=[job])


def _assets(spec: ModelSpec) -> list[dg.AssetsDefinition]:
    @model_asset(spec, "training_set", pool=f"{spec.prefix}_training")
    def training_set(
        context: dg.AssetExecutionContext, config: TrainingRun, platform: Platform
    ) -> dg.MaterializeResult[TrainingSet]:
        with tried_again(context, platform, spec):
            stores = platform.stores()
            publish_policies(stores, spec, context)  # before there is a version for the gates to look at
            cause = train.Cause(config.trigger, config.reason, config.numbers)
            if context.retry_number == 0:
                train.tell_retraining(stores, spec.model, cause, context.run.run_id)
            rows, found = train.read_and_validate(stores, spec, config.time(platform), cause)
        page = page_of_validation(stores, spec, "training_set", f"{rows.as_of:%Y-%m-%dT%H}", found)
        return dg.MaterializeResult(value=rows, metadata=shown({**training_set_entries(spec, rows, found), **page}))

    @model_asset(spec, "candidate", takes=["training_set"])
    def candidate(
        context: dg.AssetExecutionContext, platform: Platform, training_set: TrainingSet
    ) -> dg.MaterializeResult[Candidate]:
        with tried_again(context, platform, spec):
            found = train.fit(platform.stores(), spec, training_set)
        return dg.MaterializeResult(value=found, metadata=shown(candidate_entries(spec, found)))

    @model_asset(spec, "model_card", takes=["training_set", "candidate"])
    def model_card(training_set: TrainingSet, candidate: Candidate) -> dg.MaterializeResult[ModelCard]:
        card = train.card_of(spec, training_set, candidate)
        return dg.MaterializeResult(value=card, metadata=shown(card_entries(spec, card, candidate)))

    @model_asset(spec, "registered_version", takes=["training_set", "candidate", "model_card"])
    def registered_version(
        context: dg.AssetExecutionContext,
        platform: Platform,
        training_set: TrainingSet,
        candidate: Candidate,
        model_card: ModelCard,
    ) -> dg.MaterializeResult[None]:
        run = context.run.run_id
        with tried_again(context, platform, spec):
            stores = platform.stores()
            champion = stores.champion(spec.model)
            version = train.register(stores, spec, training_set, candidate, model_card, run)
        tell_success(stores, spec.model, f"{version.version} was trained")
        return dg.MaterializeResult(metadata=shown(version_entries(training_set, version, champion, run)))

    return [training_set, candidate, model_card, registered_version]


def _checks(spec: ModelSpec) -> list[dg.AssetChecksDefinition]:
    @dg.asset_check(**check_arguments(spec, "training_set", SUITE_PASSES), blocking=True)
    def suite_passes(
        context: dg.AssetCheckExecutionContext, platform: Platform, training_set: TrainingSet
    ) -> dg.AssetCheckResult:
        found = training_set.validation
        if not found.passed:
            tell_failed_suite(platform.stores(), spec, found, run=context.run.run_id)
        return check_result(SUITE_PASSES, suite_of_training(found))

    @dg.asset_check(**check_arguments(spec, "registered_version", GATES_OPEN))
    def gates_open(context: dg.AssetCheckExecutionContext, platform: Platform) -> dg.AssetCheckResult:
        stores = platform.stores()
        version = train.version_of_run(stores, spec.model, context.run.run_id)
        return check_result(GATES_OPEN, gates_of_production(version, stores.registry.closed_gates(version)))

    return [suite_passes, gates_open]
