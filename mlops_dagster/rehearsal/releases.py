"""Versions that a team's own CI registers through the SDK: two that are refused, and one that looks good and is not."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from mlops_dagster.clock import ReplayedClock
from mlops_dagster.monitoring import validate_training_set
from mlops_dagster.registry import ModelCard, ModelVersion
from mlops_dagster.rehearsal.scenario import BadRelease
from mlops_dagster.retraining.beside_champion import PresentChampion
from mlops_dagster.retraining.candidate import Candidate, fit_candidate, known_bins
from mlops_dagster.retraining.trainer import Estimator, Trainer
from mlops_dagster.schema import ModelSchema
from mlops_dagster.settings import Settings
from mlops_dagster.wiring import House

if TYPE_CHECKING:
    import pandas as pd

TRAINED_ON = timedelta(days=45)
JUDGED_ON = timedelta(days=14)
ATTRIBUTE = "carrier"


@dataclass(frozen=True)
class Team:
    """The people who build `model`, with a CI of their own."""

    settings: Settings
    model: str
    trainer: Trainer

    def release_without_card(self, at: datetime) -> ModelVersion:
        """A sound model that nobody has described."""
        candidate = self._candidate(self.trainer, self._rows(at), at)
        return self._register(candidate, None, at, "quick fix, card to follow")

    def release_under_gate(self, at: datetime) -> ModelVersion:
        """A model that always says what is most frequent, honestly evaluated."""
        from sklearn.dummy import DummyClassifier

        naive = _With(self.trainer.SCHEMA, self.trainer, DummyClassifier(strategy="most_frequent"))
        rows = self._rows(at)
        candidate = self._candidate(naive, rows, at)
        return self._register(candidate, _card(candidate, rows), at, "baseline of the majority class")

    def release_in_other_units(self, bad: BadRelease) -> ModelVersion:
        """A model fitted and judged on data in other units than the traffic: card and metrics look fine."""
        rows = self._rows(bad.at)
        rows[bad.feature] = rows[bad.feature] * bad.factor
        candidate = self._candidate(self.trainer, rows, bad.at)
        return self._register(candidate, _card(candidate, rows), bad.at, f"new pipeline for {bad.feature}")

    def take_back(self, version: ModelVersion, at: datetime, reason: str) -> None:
        """What is refused does not stay on offer."""
        self._house(at).registry.transition(version, "Deprecated", reason=reason)

    def _rows(self, at: datetime) -> pd.DataFrame:
        return self.trainer.training_set(at - TRAINED_ON, at)

    def _candidate(self, trainer: Trainer, rows: pd.DataFrame, at: datetime) -> Candidate:
        house = self._house(at)
        return fit_candidate(
            trainer,
            rows,
            dataset="the team's extract",
            evaluate_from=at - JUDGED_ON,
            fairness_attributes=(ATTRIBUTE,),
            bins=known_bins(house.versions(self.model), trainer.SCHEMA),
            champion=PresentChampion.of(house.champion(self.model), house.registry),
        )

    def _register(self, candidate: Candidate, card: ModelCard | None, at: datetime, description: str) -> ModelVersion:
        with tempfile.TemporaryDirectory() as folder:
            artifact = Path(folder) / "model.skops"
            artifact.write_bytes(candidate.artifact)
            return self._house(at).registry.register(
                self.model,
                artifact,
                card=card,
                baseline=candidate.baseline,
                schema=candidate.schema,
                metrics=candidate.metrics,
                lineage={"pipeline": "ci"},
                description=description,
            )

    def _house(self, at: datetime) -> House:
        return House(self.settings, ReplayedClock(at), actor="ci")


@dataclass
class _With:
    """A trainer with another estimator."""

    SCHEMA: ModelSchema
    trainer: Trainer
    unfitted: Estimator

    def training_set(self, start: datetime, end: datetime) -> pd.DataFrame:
        return self.trainer.training_set(start, end)

    def estimator(self) -> Estimator:
        from sklearn.base import clone

        copy: Estimator = clone(self.unfitted)
        return copy


def _card(candidate: Candidate, rows: pd.DataFrame) -> ModelCard:
    return ModelCard(
        provenance=candidate.provenance,
        evaluation=candidate.evaluation,
        fairness=candidate.fairness,
        intended_use="As the version before.",
        failure_modes=("As the version before.",),
        contacts=("team:mlops",),
        validation=validate_training_set(rows, candidate.schema),
        shared_days=candidate.shared_days,
    )
