"""The fitting of a trainer's estimator, and the bytes to register."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, cast

import numpy as np

from mlops_dagster.errors import InvalidInputError, ModelFailedError
from mlops_dagster.inference import Scorer, features_frame
from mlops_dagster.registry import estimators
from mlops_dagster.registry.estimators import Estimator
from mlops_dagster.retraining.trainer import EstimatorTrainer, FittingTrainer, Trainer
from mlops_dagster.schema import ModelSchema
from mlops_dagster.tasks import Task

if TYPE_CHECKING:
    import pandas as pd

AGREES_TO: float = 1e-5
"""The largest accepted difference between the scores of an estimator as fitted and as saved and loaded."""
_COMPARED_ROWS = 1000


class Fitted(NamedTuple):
    """A fitted estimator, with its file if the trainer wrote one."""

    estimator: Estimator
    file: bytes | None
    """The bytes that the trainer wrote; None if the estimator is still to be saved."""


def fit(trainer: Trainer, frame: pd.DataFrame, own_types: Collection[str]) -> Fitted:
    """Fit on the rows of `frame`: the features, and `label`. Model files may hold `own_types`, see `Settings`.

    Raises InvalidInputError and UnsafeArtifactError for an estimator or a file that is not accepted, if possible before
    the fit, and any error of the estimator's own `fit`.
    """
    rows, labels = features_frame(trainer.SCHEMA, frame), trainer.SCHEMA.task.targets(frame["label"])
    if hasattr(trainer, "fit"):
        found = cast("FittingTrainer", trainer).fit(rows, labels)
    else:
        unfitted = cast("EstimatorTrainer", trainer).estimator()
        estimators.check_unfitted(unfitted, type(trainer.SCHEMA.task), own_types)
        found = trainer.SCHEMA.task.prepared(unfitted).fit(rows, labels)
    if isinstance(found, str | os.PathLike):
        content = _read(Path(found))
        return Fitted(_loaded(content, trainer.SCHEMA.task, own_types), content)
    trainer.SCHEMA.task.check_estimator(found, fitted=True)
    return Fitted(found, None)


def saved(fitted: Fitted, schema: ModelSchema, rows: pd.DataFrame, own_types: Collection[str]) -> bytes:
    """Return the bytes to register; the estimator loaded from them answers `rows` as the fitted one does.

    Raises UnsafeArtifactError and InvalidInputError if it cannot be saved, ModelFailedError if answers differ.
    """
    if fitted.file is not None:
        return fitted.file
    with tempfile.TemporaryDirectory() as folder:
        content = estimators.save(fitted.estimator, Path(folder, "model.skops"), own_types).read_bytes()
    some = rows[:_COMPARED_ROWS]
    before, after = (
        Scorer(when, schema, each, partial=True).score(some)
        for when, each in (("as fitted", fitted.estimator), ("as saved", _loaded(content, schema.task, own_types)))
    )
    numbers = {"scores": (before.scores, after.scores)} | {
        name: (tensor, after.tensors[name]) for name, tensor in before.tensors.items()
    }
    name, apart = max(
        ((name, float(np.abs(one - other).max(initial=0.0))) for name, (one, other) in numbers.items()),
        key=lambda found: found[1],
    )
    if apart > AGREES_TO or before.labels != after.labels:
        raise ModelFailedError(
            f"the estimator {type(fitted.estimator).__name__} answers otherwise once it is saved and loaded again (its "
            f"{name} differ by up to {apart:.2g}); keep all that its own types learn in attributes that they set"
        )
    return content


def _loaded(content: bytes, task: Task, own_types: Collection[str]) -> Estimator:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "model")
        file.write_bytes(content)
        return estimators.load(file, own_types, task)


def _read(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise InvalidInputError(
            f"`fit` of the trainer gave {str(file)!r}, which cannot be read ({error.strerror}); let it give the path "
            "of one skops or ONNX file, or the fitted estimator"
        ) from error
