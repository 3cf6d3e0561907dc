"""Versions that a team's CI registers through the SDK: two that are refused, and some that only look good."""

from __future__ import annotations

import tempfile
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from mlops_dagster.clock import ReplayedClock
from mlops_dagster.components import ModelSpec
from mlops_dagster.inference import Scorer
from mlops_dagster.monitoring import validate_training_set
from mlops_dagster.registry import ModelCard, ModelVersion
from mlops_dagster.registry.estimators import Estimator
from mlops_dagster.rehearsal.releases.bad_release import BadRelease, choose_bad_releases
from mlops_dagster.retraining import fitting
from mlops_dagster.retraining.beside_champion import PresentChampion
from mlops_dagster.retraining.candidate import Candidate, fit_candidate, known_bins
from mlops_dagster.retraining.trainer import Trainer, read_training_set
from mlops_dagster.schema import ModelSchema
from mlops_dagster.settings import Settings
from mlops_dagster.stores import Stores

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Team:
    """The team that builds the model of `spec`, with a CI."""

    settings: Settings
    spec: ModelSpec
    trainer: Trainer

    def rows(self, at: datetime) -> pd.DataFrame:
        """Return the rows that the model's trainer has for training at the time `at`."""
        return read_training_set(self.spec.trainer, at - timedelta(days=self.spec.training.window_days), at)

    def bad_releases(self, at: datetime) -> tuple[BadRelease, ...]:
        """Return the releases that would harm this model most, given the rows for fitting and evaluation at `at`."""
        rows, schema = self.rows(at), self.trainer.SCHEMA
        held_out = rows["event_time"] >= self._judged_from(at)

        def fit(frame: pd.DataFrame) -> Callable[[pd.DataFrame], Sequence[str]]:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # estimators warn of spoilt rows, which is expected here
                fitted = fitting.fit(self.trainer, frame, self.settings.own_types).estimator
            scorer = Scorer("of the rehearsal", schema, fitted, partial=True)
            return lambda each: scorer.score(each).labels

        return tuple(choose_bad_releases(schema, rows[~held_out], rows[held_out], fit))

    def release_without_card(self, at: datetime) -> ModelVersion:
        """Register a sound model without a card."""
        candidate = self._candidate(self.trainer, self.rows(at), at)
        return self._register(candidate, None, at, "quick fix, card to follow")

    def release_under_gate(self, at: datetime) -> ModelVersion | None:
        """Register a model that always predicts the rarest class, honestly evaluated; None if the gate passes that."""
        from sklearn.dummy import DummyClassifier

        rows = self.rows(at)
        rarest = rows["label"].value_counts().index[-1]
        naive = _With(self.trainer.SCHEMA, self.trainer, DummyClassifier(strategy="constant", constant=rarest))
        candidate = self._candidate(naive, rows, at)
        least = candidate.schema.task.least(self.spec.gates)
        if all(candidate.metrics[each.measure] >= each.value for each in least):
            return None
        return self._register(candidate, self._card(candidate, rows), at, "baseline of the rarest class")

    def release(self, bad: BadRelease, at: datetime) -> ModelVersion:
        """Register a model fitted and evaluated on data unlike the traffic: neither card nor metrics show it."""
        rows = bad.spoil(self.rows(at))
        candidate = self._candidate(self.trainer, rows, at)
        return self._register(candidate, self._card(candidate, rows), at, f"new pipeline: {bad.name}")

    def take_back(self, version: ModelVersion, at: datetime, reason: str) -> None:
        """Deprecate a version that was refused, so that it is not offered any more."""
        self._stores(at).registry.transition(version, "Deprecated", reason=reason)

    def _judged_from(self, at: datetime) -> datetime:
        return at - timedelta(days=self.spec.training.evaluation_days)

    def _candidate(self, trainer: Trainer, rows: pd.DataFrame, at: datetime) -> Candidate:
        stores, model = self._stores(at), self.spec.model
        return fit_candidate(
            trainer,
            rows,
            dataset="the team's extract",
            evaluate_from=self._judged_from(at),
            fairness_attributes=self.spec.card.fairness_attributes,
            bins=known_bins(stores.versions(model), trainer.SCHEMA),
            champion=PresentChampion.of(stores.champion(model), stores.registry),
            own_types=self.settings.own_types,
        )

    def _register(self, candidate: Candidate, card: ModelCard | None, at: datetime, description: str) -> ModelVersion:
        with tempfile.TemporaryDirectory() as folder:
            artifact = Path(folder) / "model.skops"
            artifact.write_bytes(candidate.artifact)
            return self._stores(at).registry.register(
                self.spec.model,
                artifact,
                card=card,
                baseline=candidate.baseline,
                schema=candidate.schema,
                metrics=candidate.metrics,
                lineage={"pipeline": "ci"},
                description=description,
            )

    def _card(self, candidate: Candidate, rows: pd.DataFrame) -> ModelCard:
        return ModelCard(
            task=candidate.schema.task.kind,
            provenance=candidate.provenance,
            evaluation=candidate.evaluation,
            fairness=candidate.fairness,
            intended_use="As the version before.",
            failure_modes=("As the version before.",),
            contacts=self.spec.card.contacts,
            validation=validate_training_set(rows, candidate.schema),
            shared_days=candidate.shared_days,
        )

    def _stores(self, at: datetime) -> Stores:
        return Stores(self.settings, ReplayedClock(at), actor="ci")


@dataclass
class _With:
    """A trainer with its estimator replaced by `unfitted`."""

    SCHEMA: ModelSchema
    trainer: Trainer
    unfitted: Estimator

    def training_set(self, start: datetime, end: datetime) -> pd.DataFrame:
        return self.trainer.training_set(start, end)

    def estimator(self) -> Estimator:
        from sklearn.base import clone

        copy: Estimator = clone(self.unfitted)
        return copy
