"""Training: training_set -> candidate -> model_card -> registered_version, in one run."""

import dagster as dg

from mlops_dagster.components.assets.own import model_asset
from mlops_dagster.components.assets.registered_version import registered_version_asset
from mlops_dagster.components.checks.gates import gates_check
from mlops_dagster.components.checks.validation import data_docs
from mlops_dagster.components.jobs.own import OwnJob
from mlops_dagster.components.keys import key_of
from mlops_dagster.components.platform import AsOf, Platform
from mlops_dagster.components.policies import publish_policies
from mlops_dagster.components.sensors.retraining_failures import check_failed, retraining_tags, tried_again
from mlops_dagster.components.sensors.training_runs import retrain_job
from mlops_dagster.components.views.links import back_to
from mlops_dagster.components.views.tables import shown
from mlops_dagster.loop.judging.findings import outcome_of
from mlops_dagster.loop.retraining.train import card_of, fit, read_and_validate, tell_retraining
from mlops_dagster.loop.shown.hours import found_in
from mlops_dagster.loop.shown.training import candidate_entries, card_entries, training_set_entries
from mlops_dagster.loop.spec import ModelSpec
from mlops_dagster.registry import PAIRED, ModelCard
from mlops_dagster.retraining.candidate import Candidate
from mlops_dagster.retraining.trainer import TrainingSet


class TrainingRun(AsOf):
    """The configuration of a training run: its trigger, the reason, and the time as of which it trains."""

    trigger: str = "by hand"
    reason: str = ""
    numbers: dict[str, str] = {}  # noqa: RUF012  # Dagster copies it


def training_defs(spec: ModelSpec) -> dg.Definitions:
    """Define the assets of the group `training`, the checks on the training set and gates, and the job `retrain`."""
    trained = OwnJob(
        retrain_job(spec),
        dg.AssetSelection.assets(*(key_of(spec, name) for name in TRAINING_ASSETS)),
        description="Fit, evaluate and register a challenger. It never touches traffic.",
        tags=retraining_tags(spec),
        executor_def=dg.in_process_executor,  # with any default executor: killing a step also kills the run
    )
    return dg.Definitions(
        assets=[_training_set(spec), _candidate(spec), _model_card(spec), registered_version_asset(spec)],
        asset_checks=[_suite_passes(spec), gates_check(spec)],
        jobs=[trained],
    )


TRAINING_ASSETS = ("training_set", "candidate", "model_card", "registered_version")


def _training_set(spec: ModelSpec) -> dg.AssetsDefinition:
    @model_asset(
        spec,
        "training_set",
        "training",
        kinds={"pandas"},
        pool=f"{spec.prefix}_training",
        description=f"Labelled rows of the last {spec.training.window_days} days; `candidate` is fitted on them.",
    )
    def training_set(
        context: dg.AssetExecutionContext, config: TrainingRun, platform: Platform
    ) -> dg.MaterializeResult[TrainingSet]:
        with tried_again(context, platform, spec):
            stores = platform.stores()
            publish_policies(stores, spec, context)  # before there is a version for the gates to look at
            if context.retry_number == 0:
                tell_retraining(stores, spec.model, config.trigger, config.reason, config.numbers)
            rows, found = read_and_validate(
                stores,
                spec,
                config.time(platform),
                trigger=config.trigger,
                reason=config.reason,
                numbers=config.numbers,
            )
        name, source = f"{spec.model}/training_set/{rows.as_of:%Y-%m-%dT%H}", back_to(stores, spec, "training_set")
        page = data_docs(context, stores, name, found, source=source)
        return dg.MaterializeResult(value=rows, metadata=shown({**training_set_entries(spec, rows, found), **page}))

    return training_set


def _suite_passes(spec: ModelSpec) -> dg.AssetChecksDefinition:
    @dg.asset_check(
        asset=key_of(spec, "training_set"),
        name="suite_passes",
        blocking=True,
        description="Great Expectations: columns, types, null rates, ranges, labels. A failure stops the training run.",
    )
    def suite_passes(
        context: dg.AssetCheckExecutionContext, platform: Platform, training_set: TrainingSet
    ) -> dg.AssetCheckResult:
        found = training_set.validation
        if not found.passed:
            check_failed(platform, spec, context.run.run_id, found)
        return dg.AssetCheckResult(
            passed=found.passed,
            severity=dg.AssetCheckSeverity.ERROR,
            description=f"{outcome_of(found)}; no version is trained on these {found.rows:,} rows"
            if not found.passed
            else f"{found.rows:,} rows met all {found.expectations} expectations",
            metadata=shown({**found_in(found), "expectations": found.expectations, "suite": found.suite}),
        )

    return suite_passes


def _candidate(spec: ModelSpec) -> dg.AssetsDefinition:
    @model_asset(
        spec,
        "candidate",
        "training",
        ins={"training_set": dg.AssetIn(key=key_of(spec, "training_set"))},
        kinds={"scikitlearn"},
        description=(
            f"Fitted without the last {spec.training.evaluation_days} days, judged on them, then refitted on all rows; "
            "`model_card` and `registered_version` come from it."
        ),
    )
    def candidate(
        context: dg.AssetExecutionContext, platform: Platform, training_set: TrainingSet
    ) -> dg.MaterializeResult[Candidate]:
        with tried_again(context, platform, spec):
            found = fit(platform.stores(), spec, training_set)
            effect = found.baseline.design_effects.get(PAIRED)
            for doubt in (*found.unjudged, *([found.shared_days] if found.shared_days and effect is None else [])):
                context.log.warning("%s", doubt)
        link = {"card": dg.MetadataValue.asset(key_of(spec, "model_card"))}
        return dg.MaterializeResult(value=found, metadata=shown({**candidate_entries(spec, found), **link}))

    return candidate


def _model_card(spec: ModelSpec) -> dg.AssetsDefinition:
    @model_asset(
        spec,
        "model_card",
        "training",
        ins={
            "training_set": dg.AssetIn(key=key_of(spec, "training_set")),
            "candidate": dg.AssetIn(key=key_of(spec, "candidate")),
        },
        kinds={"markdown"},
        description="The candidate's training data and its validation, its quality in each slice, its intended use "
        "and failure modes. A complete card is required for production.",
    )
    def model_card(training_set: TrainingSet, candidate: Candidate) -> dg.MaterializeResult[ModelCard]:
        card = card_of(spec, training_set, candidate)
        link = {"version": dg.MetadataValue.asset(key_of(spec, "registered_version"))}
        return dg.MaterializeResult(value=card, metadata=shown({**card_entries(card, candidate), **link}))

    return model_card
