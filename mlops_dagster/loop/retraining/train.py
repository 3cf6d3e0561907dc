"""The steps of a retraining: rows and their validation, the candidate, its model card, and its registration."""

import tempfile
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final, NamedTuple

from mlops_dagster.alerting import Notice
from mlops_dagster.loop.spec import ModelSpec
from mlops_dagster.monitoring import ValidationResult, provable, regime_lines, validate
from mlops_dagster.monitoring.validation.expectations.document import suite_of
from mlops_dagster.monitoring.validation.training_data import on_card
from mlops_dagster.registry import ModelCard, ModelVersion
from mlops_dagster.retraining.beside_champion import PresentChampion
from mlops_dagster.retraining.candidate import Candidate, fit_candidate, known_bins
from mlops_dagster.retraining.signals import Numbers
from mlops_dagster.retraining.trainer import TrainingSet, load_trainer, read_training_set
from mlops_dagster.stores import Stores

_SHORT: Final = 8
"""The characters of a run's id that Dagster shows."""


class ReadTrainingSet(NamedTuple):
    """A training set, and the result of its suite with all that a page of it shows."""

    rows: TrainingSet
    validation: ValidationResult


class Cause(NamedTuple):
    """The cause of a retraining: its trigger, the reason as a sentence, and the numbers behind it."""

    trigger: str
    reason: str
    numbers: Numbers


def tell_retraining(stores: Stores, model: str, cause: Cause, run: str) -> None:
    """Tell that a retraining has started: its cause, and the run. Open alerts that it answers say so from now on."""
    summary = f"a retraining has started ({cause.trigger}), run {run[:_SHORT]}"
    stores.alerts.tell(
        model,
        Notice.RETRAINING_STARTED,
        f"{summary}: {cause.reason}" if cause.reason else summary,
        done="it makes a challenger, and touches no traffic",
        evidence={"run": run, "trigger": cause.trigger, **cause.numbers},
    )


def read_and_validate(stores: Stores, spec: ModelSpec, as_of: datetime, cause: Cause) -> ReadTrainingSet:
    """Read the training set as of a time, and validate it by the suite of the champion where the schema is the same.

    Raises InvalidInputError, InvalidSuiteError, TrainingDataError, StorageError.
    """
    trainer = load_trainer(spec.trainer)
    spec.drift.check_names(trainer.SCHEMA.names)
    frame = read_training_set(spec.trainer, as_of - timedelta(days=spec.training.window_days), as_of)
    champion = stores.champion(spec.model)
    baseline = champion.baseline if champion is not None and champion.schema == trainer.SCHEMA else None
    suite = suite_of(trainer.SCHEMA, baseline, spec.validation, spec.drift.rows_per_observation)
    found = validate(frame, suite, "training_set", alpha=spec.validation.alpha)
    trigger, reason, numbers = cause
    rows = TrainingSet(frame, on_card(suite, found), as_of=as_of, trigger=trigger, reason=reason, numbers=dict(numbers))
    return ReadTrainingSet(rows, found)


def fit(stores: Stores, spec: ModelSpec, training_set: TrainingSet) -> Candidate:
    """Fit and evaluate a candidate on the training set, next to the present champion."""
    trainer = load_trainer(spec.trainer)
    return fit_candidate(
        trainer,
        training_set.frame,
        dataset=spec.training.dataset,
        evaluate_from=training_set.as_of - timedelta(days=spec.training.evaluation_days),
        fairness_attributes=spec.card.fairness_attributes,
        bins=known_bins(stores.versions(spec.model), trainer.SCHEMA),
        champion=PresentChampion.of(stores.champion(spec.model), stores.registry),
        own_types=stores.settings.own_types,
    )


def card_of(spec: ModelSpec, training_set: TrainingSet, candidate: Candidate) -> ModelCard:
    """Return the model card of a candidate; the parts that only people know are the spec's."""
    return ModelCard(
        task=candidate.schema.task.kind,
        provenance=candidate.provenance,
        evaluation=candidate.evaluation,
        fairness=tuple(audit.model_copy(update={"note": spec.card.fairness_note}) for audit in candidate.fairness),
        intended_use=spec.card.intended_use,
        failure_modes=spec.card.failure_modes,
        contacts=spec.card.contacts,
        validation=training_set.validation,
        shared_days=candidate.shared_days,
        regimes=regime_lines(candidate.baseline, spec.drift),
        provable=provable(
            candidate.evaluation,
            candidate.baseline.design_effects,
            candidate.baseline.evaluated_days,
            spec.concept,
            spec.performance,
            candidate.schema.task,
        ),
    )


def register(
    stores: Stores,
    spec: ModelSpec,
    training_set: TrainingSet,
    candidate: Candidate,
    card: ModelCard,
    run: str,
) -> ModelVersion:
    """Register the candidate with its lineage: its origin, code and data, the run that made it, and its parent."""
    lineage = {
        "as_of": training_set.as_of.isoformat(),
        "trigger": training_set.trigger,
        "reason": training_set.reason,
        **{f"trigger {name}": value for name, value in training_set.numbers.items()},
        **stores.registry.code_lineage(),
        "dagster_run": run,
        "data": candidate.provenance.digest,
        **_parent(stores, spec.model),
    }
    with tempfile.TemporaryDirectory() as folder:
        artifact = Path(folder) / "model.skops"
        artifact.write_bytes(candidate.artifact)
        return stores.registry.register(
            spec.model,
            artifact,
            card=card,
            baseline=candidate.baseline,
            schema=candidate.schema,
            metrics=candidate.metrics,
            lineage=lineage,
            description=f"Trained: {training_set.trigger}",
        )


def version_of_run(stores: Stores, model: str, run: str) -> ModelVersion:
    """Return the version that a run has registered; if another run has registered its files, the newest version."""
    versions = stores.registry.list(model)
    return ([each for each in versions if each.lineage.get("dagster_run") == run] or versions)[-1]


def _parent(stores: Stores, model: str) -> dict[str, str]:
    """Return the version to improve upon: the champion or, before there is one, the version registered last."""
    parent = stores.champion(model) or next(reversed(stores.versions(model)), None)
    return {} if parent is None else {"parent": parent.version}
