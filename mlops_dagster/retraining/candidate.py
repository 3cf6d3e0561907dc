"""The fitting of a candidate from labelled rows: fit, evaluate on later rows, refit on all of them."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING

from mlops_dagster.errors import InvalidInputError, TrainingDataError
from mlops_dagster.frames.conform import LABEL, TIME, conform
from mlops_dagster.inference import Scorer
from mlops_dagster.registry import (
    PAIRED,
    Baseline,
    EvaluationSlice,
    FairnessAudit,
    ModelVersion,
    Provenance,
    audit_fairness,
    evaluate,
)
from mlops_dagster.registry.cards import OVERALL
from mlops_dagster.retraining.beside_champion import PresentChampion, beside_champion
from mlops_dagster.retraining.fitting import fit, saved
from mlops_dagster.retraining.requirements import check_requirements, unjudged_truths
from mlops_dagster.retraining.trainer import Trainer
from mlops_dagster.schema import ModelSchema
from mlops_dagster.statistics import Bins

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pandas as pd


@dataclass(frozen=True)
class Candidate:
    """A fitted model with its evaluation and baseline.

    `artifact` is its only serialization: skops bytes differ from dump to dump, and versions are known by their bytes.
    """

    artifact: bytes
    schema: ModelSchema
    metrics: dict[str, float]
    evaluation: tuple[EvaluationSlice, ...]
    fairness: tuple[FairnessAudit, ...]
    provenance: Provenance
    baseline: Baseline
    unjudged: tuple[str, ...] = ()
    """One sentence for the truths without evaluated rows, or without earlier rows to fit on."""
    shared_days: str = ""
    """The effect of days with shared causes on a comparison with the champion, in words; empty without a champion."""

    @property
    def digest(self) -> str:
        """SHA-256 of the artifact, which is also its address in the artifact store."""
        return hashlib.sha256(self.artifact).hexdigest()


def fit_candidate(
    trainer: Trainer,
    frame: pd.DataFrame,
    *,
    dataset: str,
    evaluate_from: datetime,
    fairness_attributes: Sequence[str],
    bins: Mapping[str, Bins] | None = None,
    champion: PresentChampion | None = None,
    own_types: Collection[str] = (),
) -> Candidate:
    """Fit on the rows before `evaluate_from`, evaluate on the others, then refit on all.

    The present `champion` scores the others too: the variation of the difference between days becomes the baseline's
    design effect "paired", by which a rollout counts rows. Without a champion, or if it cannot score them, that is
    absent.

    `bins` are those of earlier versions with the same schema, so that counts stay comparable; without them, and for
    features that have left them, they are made from `frame`. Raises TrainingDataError if there are too few rows to fit
    or evaluate, or a truth of a list or a second group is missing, InvalidInputError for an estimator that is not
    accepted, ModelFailedError if its answers are unsound. The model file may hold `own_types`, see `Settings`.
    """
    import numpy as np

    from mlops_dagster.monitoring import make_baseline, with_evaluation
    from mlops_dagster.monitoring.policy import wrong_answers

    schema = trainer.SCHEMA
    try:
        frame = conform(frame, schema, LABEL, TIME)
    except InvalidInputError as error:
        raise TrainingDataError(f"the rows cannot be fitted on: {error.message}", told=error.told) from error
    held_out = frame["event_time"] >= evaluate_from
    fitted_on, judged_on = frame[~held_out], frame[held_out]
    check_requirements(schema, fitted_on, judged_on, evaluate_from, fairness_attributes)

    judge = fit(trainer, fitted_on, own_types)
    answers = Scorer("in evaluation", schema, judge.estimator, partial=True).score_many(judged_on)
    predicted = np.array(answers.labels, dtype=np.object_)
    evaluation, fairness = _judge(judged_on, predicted, fairness_attributes, schema)

    baseline = make_baseline(
        frame,
        schema,
        scores=answers.scores,
        labels=list(frame["label"]),
        bins=bins,
        times=frame["event_time"],
        score_times=judged_on["event_time"],
    )
    truths = judged_on["label"].to_numpy()
    wrong = schema.task.wrong(predicted, truths)
    baseline = with_evaluation(baseline, judged_on, wrong, dict(_slices(judged_on, fairness_attributes)))
    baseline = replace(baseline, calibration=schema.task.calibrate(predicted, answers.scores, truths))
    beside = beside_champion(champion, judged_on, wrong, baseline.design_effects.get(wrong_answers(OVERALL)))
    if beside.effect is not None:
        baseline = replace(baseline, design_effects={**baseline.design_effects, PAIRED: beside.effect})
    final = fit(trainer, frame, own_types)
    return Candidate(
        artifact=saved(final, schema, judged_on, own_types),
        schema=schema,
        metrics=dict(evaluation[0].metrics),
        evaluation=evaluation,
        fairness=fairness,
        provenance=_provenance(frame, dataset),
        baseline=baseline,
        unjudged=unjudged_truths(schema, fitted_on, judged_on),
        shared_days=beside.sentence,
    )


def known_bins(versions: Sequence[ModelVersion], schema: ModelSchema) -> dict[str, Bins] | None:
    """Return the bins of the newest version with this schema, or None; `versions` are in order of registration."""
    for version in reversed(versions):
        if version.baseline is not None and version.schema is not None and version.schema.digest == schema.digest:
            return {name: histogram.bins for name, histogram in version.baseline.features.items()}
    return None


def _judge(
    judged_on: pd.DataFrame, predicted: npt.NDArray[np.object_], attributes: Sequence[str], schema: ModelSchema
) -> tuple[tuple[EvaluationSlice, ...], tuple[FairnessAudit, ...]]:
    """Return the slices: all rows ("overall") first, then each group of each attribute; and each attribute's audit.

    Rates are those of the truth that matters to people, if the task has one.
    """
    true = judged_on["label"].to_numpy()
    task = schema.task
    parts = [evaluate(name, true[rows], predicted[rows], task) for name, rows in _slices(judged_on, attributes)]
    audits = tuple(
        audit_fairness(true, predicted, judged_on[attribute], attribute=attribute, positive=task.asked, task=task)
        for attribute in attributes
    )
    return (evaluate("overall", true, predicted, task), *parts), audits


def _slices(rows: pd.DataFrame, attributes: Sequence[str]) -> Iterator[tuple[str, npt.NDArray[np.int64]]]:
    """Yield the name and the positions of the rows of each group of each attribute."""
    import numpy as np

    for attribute in attributes:
        for group, its in rows.groupby(attribute, sort=True, observed=True).indices.items():
            yield f"{attribute}={group}", np.asarray(its)


def _provenance(frame: pd.DataFrame, dataset: str) -> Provenance:
    import pandas as pd

    digest = hashlib.sha256(pd.util.hash_pandas_object(frame, index=False).to_numpy().tobytes()).hexdigest()
    times = frame["event_time"]
    start, end = (each.floor("us").to_pydatetime() for each in (times.min(), times.max()))
    return Provenance(dataset=dataset, digest=digest, start=start, end=end, rows=len(frame))
