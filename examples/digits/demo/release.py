"""What the team releases next: a pipeline without the step that takes a missing pixel for paper."""

import tempfile
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from digits.trainer import SCHEMA, estimator, training_set
from mlops_dagster.monitoring import validate_training_set
from mlops_dagster.registry import ModelCard, ModelVersion
from mlops_dagster.retraining.beside_champion import PresentChampion
from mlops_dagster.retraining.candidate import fit_candidate, known_bins
from mlops_dagster.stores import Stores

if TYPE_CHECKING:
    import pandas as pd
    from sklearn.pipeline import Pipeline

TRAINED_ON = timedelta(days=29)
JUDGED_ON = timedelta(days=4)


class WithoutImputer:
    """The trainer, but for an estimator that raises when a pixel is missing. The archive has none that is."""

    SCHEMA = SCHEMA

    def training_set(self, start: datetime, end: datetime) -> "pd.DataFrame":
        return training_set(start, end)

    def estimator(self) -> "Pipeline":
        from sklearn.pipeline import make_pipeline

        return make_pipeline(estimator()[-1])


def release_without_imputer(stores: Stores, model: str) -> ModelVersion:
    """Fitted, judged and registered by the team's own CI, through the SDK: card and metrics are fine."""
    now = stores.clock.now()
    rows = training_set(now - TRAINED_ON, now)
    candidate = fit_candidate(
        WithoutImputer(),
        rows,
        dataset="the team's extract of the archive",
        evaluate_from=now - JUDGED_ON,
        fairness_attributes=("ink",),
        bins=known_bins(stores.versions(model), SCHEMA),
        champion=PresentChampion.of(stores.champion(model), stores.registry),
    )
    card = ModelCard(
        provenance=candidate.provenance,
        evaluation=candidate.evaluation,
        fairness=candidate.fairness,
        intended_use="As the version before.",
        failure_modes=("As the version before.",),
        contacts=("team:digits",),
        validation=validate_training_set(rows, SCHEMA),
        shared_days=candidate.shared_days,
    )
    with tempfile.TemporaryDirectory() as folder:
        artifact = Path(folder) / "model.skops"
        artifact.write_bytes(candidate.artifact)
        return stores.registry.register(
            model,
            artifact,
            card=card,
            baseline=candidate.baseline,
            schema=SCHEMA,
            metrics=candidate.metrics,
            lineage={"pipeline": "ci"},
            description="a leaner pipeline",
        )
