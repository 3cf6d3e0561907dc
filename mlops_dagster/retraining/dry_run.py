"""A trial of a trainer in seconds: a check of its rows against its schema, and a candidate fitted on a few of them."""

from __future__ import annotations

import tempfile
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, cast

from mlops_dagster.documents.texts import counted
from mlops_dagster.errors import InvalidInputError, MlopsError, TrainingDataError
from mlops_dagster.frames.conform import LABEL, TIME
from mlops_dagster.inference import Scorer
from mlops_dagster.registry import estimators
from mlops_dagster.retraining.candidate import fit_candidate
from mlops_dagster.retraining.requirements import check_requirements
from mlops_dagster.retraining.trainer import EstimatorTrainer, Trainer, load_trainer, read_training_set

if TYPE_CHECKING:
    import pandas as pd

    from mlops_dagster.monitoring import ValidationPolicy
    from mlops_dagster.schema import ModelSchema

_ROWS = 1000
_ROWS_OF_A_STRATUM = 100


def check_estimator(module_name: str, own_types: Sequence[str]) -> Trainer:
    """Return the trainer after calling its `estimator`, if it has one, once; a result of `fit` is checked at its call.

    Raises InvalidInputError if `estimator` returns an unacceptable estimator, UnsafeArtifactError for its types.
    """
    trainer = load_trainer(module_name)
    if not hasattr(trainer, "fit"):
        with _own_errors(f"`estimator` of {module_name}"):
            unfitted = cast("EstimatorTrainer", trainer).estimator()
        estimators.check_unfitted(unfitted, type(trainer.SCHEMA.task), own_types)
    return trainer


def dry_run(
    module_name: str,
    start: datetime,
    end: datetime,
    evaluate_from: datetime,
    *,
    fairness_attributes: Sequence[str],
    validation: ValidationPolicy,
    own_types: Sequence[str],
) -> Generator[str, None, dict[str, float]]:
    """Yield a sentence for each step that went well; the first that does not raises its error, which says what to do.

    In the end the shares of the strata among the labels, such as classes, are returned.

    Rows of [start, end) are read as for a training; a candidate is fitted on at most some thousand of those before
    `evaluate_from`, of every stratum some, judged on as many of the others, written to a file, read and tried.
    """
    from mlops_dagster.monitoring.validation.expectations.document import suite_of
    from mlops_dagster.monitoring.validation.validate import validate

    trainer = check_estimator(module_name, own_types)
    schema = trainer.SCHEMA
    yield f"{module_name}: {counted(len(schema.features), 'features')}, {schema.task.told}"
    with _own_errors(f"`training_set` of {module_name}"):
        frame = read_training_set(module_name, start, end)
    rows = counted(len(frame), "rows")
    yield f"training_set: {rows} of [{start:%Y-%m-%d}, {end:%Y-%m-%d}) in the types of the schema"
    found = validate(frame, suite_of(schema, None, validation), "training_set", alpha=validation.alpha)
    if not found.passed:
        raise TrainingDataError(f"the rows fail their suite: {'; '.join((*found.failures, *found.errors))}")
    yield f"suite: the rows meet {counted(found.expectations, 'expectations')}"
    if validation.suite is not None:
        yield _hold_for_hours(frame, schema, validation)
    late = frame[TIME] >= evaluate_from
    check_requirements(schema, frame[~late], frame[late], evaluate_from, fairness_attributes)
    strata = frame[LABEL].map(schema.task.stratum)
    few = _some_of_each(frame, strata, late)
    with _own_errors(f"the estimator of {module_name}"):
        candidate = fit_candidate(
            trainer, few, dataset="", evaluate_from=evaluate_from, fairness_attributes=(), own_types=own_types
        )
    scores = ", ".join(f"{name} {value:.3f}" for name, value in sorted(candidate.metrics.items()))
    fitted = int((few[TIME] < evaluate_from).sum())
    alike = f", each {schema.task.truth_noun} alike" if schema.task.truths else ""
    yield f"estimator: fitted on {counted(fitted, 'rows')}, judged on {len(few) - fitted}{alike}: {scores}"
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "model"
        file.write_bytes(candidate.artifact)
        Scorer("of the dry run", schema, estimators.load(file, own_types, schema.task)).try_out(candidate.baseline)
    yield f"artifact: {len(candidate.artifact):,} bytes, which answer rows like its training data"
    return {str(name): float(share) for name, share in strata.value_counts(normalize=True).items()}


def _hold_for_hours(frame: pd.DataFrame, schema: ModelSchema, validation: ValidationPolicy) -> str:
    """Say how many hours of the last day meet the suite that people wrote: served hours are held against it, too.

    Raises TrainingDataError if none does.
    """
    from mlops_dagster.monitoring.validation.expectations.document import suite_of
    from mlops_dagster.monitoring.validation.validate import validate_each

    last = frame[frame[TIME] > frame[TIME].max() - timedelta(days=1)]
    hours = dict(iter(last[[*schema.names]].groupby(last[TIME].dt.floor("h"))))
    found = validate_each(hours, suite_of(schema, None, validation), alpha=validation.alpha).values()
    bad = [each for each in found if each.failures or each.errors]
    first = f": {'; '.join((*bad[0].failures, *bad[0].errors))}" if bad else ""
    if len(bad) == len(found):
        raise TrainingDataError(
            f"all {len(found)} hours of the last day of the rows fail the suite {str(validation.suite)!r}, as hours "
            f"that are served like them would{first}; mend its limits"
        )
    return f"suite: {len(found) - len(bad)} of {len(found)} hours of the last day pass{first}"


@contextmanager
def _own_errors(whose: str) -> Iterator[None]:
    """Raise InvalidInputError for any error of a team's code."""
    try:
        yield
    except MlopsError:
        raise
    except Exception as error:  # any error
        raised = f"{whose} raised {type(error).__name__}"
        raise InvalidInputError(f"{raised}: {error}", told=raised) from error


def _some_of_each(frame: pd.DataFrame, strata: pd.Series[str], late: pd.Series[bool]) -> pd.DataFrame:
    """Return rows evenly spaced in time, of each stratum, before and after the evaluation begins."""
    import numpy as np

    most = max(_ROWS // strata.nunique(), _ROWS_OF_A_STRATUM)
    kept = [
        places[np.linspace(0, len(places) - 1, min(len(places), most)).astype(int)]
        for places in frame.groupby([strata, late], sort=False).indices.values()
    ]
    return frame.iloc[np.sort(np.concatenate(kept))].reset_index(drop=True)
