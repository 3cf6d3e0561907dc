"""A version in memory: its schema, its estimator, and one call that scores rows."""

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Final

from mlops_dagster.errors import InvalidFeaturesError, InvalidInputError
from mlops_dagster.frames.values import text_of
from mlops_dagster.inference import Scorer
from mlops_dagster.registry import Baseline, GuardPolicy
from mlops_dagster.registry.estimators import Estimator
from mlops_dagster.schema import Feature, ModelSchema
from mlops_dagster.serving.deployed.guard import Guard
from mlops_dagster.serving.protocol.infer import Column
from mlops_dagster.serving.protocol.outputs import Outputs
from mlops_dagster.serving.protocol.tensors import Value

Columns = Mapping[str, Sequence[Value]]

OTHER: Final = "other"
"""Counted in place of a label that is no listed truth of the task: senders and models must not invent time series."""

_NO_MARK: Final = nullcontext()


@dataclass(frozen=True, slots=True)
class Scores:
    """The scores of some rows: each has a label, a score, and the task's outputs that are given on request, by name."""

    labels: list[str]
    scores: list[float]
    tensors: Mapping[str, list[list[float]]]

    def at(self, rows: slice) -> "Scores":
        """Return the scores of some of the rows."""
        return Scores(self.labels[rows], self.scores[rows], {name: each[rows] for name, each in self.tensors.items()})


class LoadedModel:
    """A version that is in memory and ready to score.

    It scores inside its `mark`, which tells the supervisor what the process was doing if it dies. Raises
    ModelFailedError for an estimator that cannot answer the task of its schema.
    """

    def __init__(
        self,
        version: str,
        schema: ModelSchema,
        estimator: Estimator,
        baseline: Baseline | None = None,
        mark: AbstractContextManager[object] = _NO_MARK,
    ) -> None:
        self._mark = mark
        self._scorer = Scorer(version, schema, estimator)
        self.version = version
        self.schema = schema
        self.outputs = Outputs(schema.task)
        self._baseline = baseline
        self._guard = Guard(schema, baseline, GuardPolicy().stretch)

    def guard(self, stretch: float) -> Guard:
        """Return the guard of this version, with the ranges of the baseline widened by `stretch` widths."""
        if self._guard.stretch != stretch:
            self._guard = Guard(self.schema, self._baseline, stretch)
        return self._guard

    def predict(self, columns: Columns) -> Scores:
        """Score rows given as one list per feature; raises ModelFailedError for every error of the estimator."""
        with self._mark:
            answers = self._scorer.score(columns)
        tensors = {name: tensor.tolist() for name, tensor in answers.tensors.items()}
        return Scores(answers.labels, answers.scores.tolist(), tensors)

    def counted(self, labels: Sequence[str]) -> Sequence[str]:
        """Return the labels as metrics name them: those of a task whose truths cannot be listed make no time series."""
        return labels if self.schema.task.truths else [OTHER] * len(labels)

    def try_out(self) -> None:
        """Score made-up rows, so that imports and caches are ready for the first real one.

        Raises ModelFailedError for unsound answers, such as scores that are not probabilities: such a version must not
        answer requests.
        """
        self._scorer.try_out(self._baseline)


def take_features(schema: ModelSchema, columns: Mapping[str, Column]) -> Columns:
    """Return the columns of the features of `schema`, checked; other columns are left out.

    Raises InvalidFeaturesError, which names the feature that is missing, null or of the wrong kind.
    """
    return {feature.name: _checked(feature, columns.get(feature.name)) for feature in schema.features}


def _checked(feature: Feature, column: Column | None) -> Sequence[Value]:
    if column is None:
        raise InvalidFeaturesError(f"feature {feature.name!r} is missing; send it, null where it is not known")
    values = column.values
    if feature.kind == "categorical" and column.datatype != "BYTES":
        values = _as_texts(feature, column)
    elif feature.kind == "numeric" and column.datatype == "BYTES":
        raise InvalidFeaturesError(f"feature {feature.name!r} is numeric: send a number, not BYTES")
    if not feature.nullable and None in values:
        raise InvalidFeaturesError(f"feature {feature.name!r} must not be null")
    return values


def _as_texts(feature: Feature, column: Column) -> list[Value]:
    """Return whole numbers and booleans as the texts that training uses for them; raises InvalidFeaturesError."""
    booleans = column.datatype == "BOOL"
    try:
        return [None if each is None else text_of(bool(each) if booleans else each) for each in column.values]
    except InvalidInputError as error:
        where = f"feature {feature.name!r} is categorical"
        raise InvalidFeaturesError(f"{where}: {error.message}; send BYTES", told=f"{where}: {error.told}") from error
