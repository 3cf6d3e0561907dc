"""The answers of rows by a version: their labels, scores and tensors, as its task reads them."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from mlops_dagster.errors import InvalidInputError, ModelFailedError
from mlops_dagster.inference.bare_matrix import answers_alike_to_a_matrix
from mlops_dagster.inference.nulls import nulls_of
from mlops_dagster.inference.rows import Columns, features_frame, features_matrix
from mlops_dagster.inference.trial import ALONE, trial_columns
from mlops_dagster.registry import Baseline
from mlops_dagster.registry.estimators import Estimator
from mlops_dagster.schema import ModelSchema
from mlops_dagster.tasks import AnswerReader, Answers, Inputs

_Numbers: TypeAlias = npt.NDArray[np.float64]


class Scored(NamedTuple):
    """One label and one score per row, and the task's outputs that are given on request, (rows, width), by name."""

    labels: list[str]
    scores: _Numbers
    tensors: Mapping[str, _Numbers]


class Answered(NamedTuple):
    """Labels and scores of rows of which some may have failed: their label is None, their score NaN."""

    labels: list[str | None]
    scores: _Numbers


class Scorer:
    """A loaded version, used in the same way by everything that scores rows.

    Label and score of a row are those of the schema's task: a classifier's label is the estimator's own `predict`.
    Raises ModelFailedError for an estimator that cannot answer the task, such as one with other classes than the
    schema. With `partial`, it may know only some of the truths: a class that it lacks has the probability 0.
    """

    def __init__(self, version: str, schema: ModelSchema, estimator: Estimator, *, partial: bool = False) -> None:
        try:
            self._reader: AnswerReader[Any] = schema.task.reader(estimator, partial=partial)
        except ValueError as error:
            raise ModelFailedError(f"version {version} {error}") from error
        _check_schema(version, schema, estimator)
        self.version = version
        self.schema = schema
        self._nulls = nulls_of(version, schema, estimator)
        self._ask = schema.task.way_to_ask(estimator)
        self._takes_matrix = answers_alike_to_a_matrix(self._ask, estimator, schema)

    def score(self, columns: Columns) -> Scored:
        """Score all rows, given as values by feature; raises ModelFailedError if one of them fails."""
        answers = self._sound(self._inputs(columns))
        return Scored(answers.labels(), answers.scores(), answers.tensors())

    def score_many(self, columns: Columns) -> Answered:
        """Score all rows without keeping tensors: the probabilities of 1,000 classes have 800 MB in 100,000 rows.

        Raises ModelFailedError if one row fails.
        """
        labels: list[str | None] = []
        scores = [np.empty(0)]
        for first, inputs in self._pieces(self._inputs(columns)):
            answers = self._sound(inputs, first)
            labels += answers.labels()
            scores.append(answers.scores())
        return Answered(labels, np.concatenate(scores))

    def score_each(self, columns: Columns) -> Answered:
        """Score all rows, of which some may fail: of rows that fail together, halves are tried."""
        labels: list[str | None] = []
        scores = [np.empty(0)]
        pieces = (inputs for _, inputs in self._pieces(self._inputs(columns)))
        for answers in (run for inputs in pieces for run in self._run_halves(inputs)):
            sound = answers.sound
            labels += [name if good else None for name, good in zip(answers.labels(), sound.tolist(), strict=True)]
            scores.append(np.where(sound, answers.scores(), np.nan))
        return Answered(labels, np.concatenate(scores))

    def try_out(self, baseline: Baseline | None) -> None:
        """Score made-up rows, drawn from the bins of `baseline` for features that it has; raises ModelFailedError.

        The error says one of: some answers are unsound, such as scores that are not probabilities; no row is answered;
        rows that were answered fail alone or together; a row got another answer when scored again, among others or
        alone. Refused rows prove something only if all are refused and the baseline has every feature.
        """
        inputs = self._inputs(trial_columns(self.schema, baseline))
        answers = self._run_all(inputs)
        answered = answers.answered
        if not answers.sound[answered].all():
            raise self._unsound(answers, int(np.argmin(answers.sound | ~answered)))
        if not answered.any():
            if baseline is not None and baseline.features.keys() >= set(self.schema.names):
                why = self._why_failed(inputs[:1])
                raise ModelFailedError(f"version {self.version} answers no row that is like its training data: {why}")
            return
        inputs = inputs[answered]
        answers = answers.at(answered)
        backwards = slice(None, None, -1)
        self._check_again(inputs[backwards], answers.at(backwards), "draws nothing when it predicts")
        for row in range(min(ALONE, len(inputs))):
            alone = slice(row, row + 1)
            self._check_again(inputs[alone], answers.at(alone), "scores each row by itself")

    def _check_again(self, inputs: Inputs, answers: Answers, wanted: str) -> None:
        """Score rows again as one batch; raises ModelFailedError if that fails, or if a row gets another answer."""
        try:
            again = self._run(inputs)
        except ModelFailedError as error:
            raise ModelFailedError(
                f"{error}, for {len(inputs)} rows at once that it answers in other batches; register an estimator that "
                "takes any number of rows"
            ) from error
        differ = answers.differ(again)
        if differ.any():
            row = int(np.argmax(differ))
            (score, label), (score_again, label_again) = answers.shown(row), again.shown(row)
            raise ModelFailedError(
                f"version {self.version} answers the same row differently: row {row} got {score} and {label}, then, in "
                f"a batch of {len(inputs)}, {score_again} and {label_again}; register one that {wanted}"
            )

    def _why_failed(self, row: Inputs) -> ModelFailedError:
        try:
            return self._unsound(self._run(row), 0)
        except ModelFailedError as error:
            return error

    def _pieces(self, inputs: Inputs) -> Iterator[tuple[int, Inputs]]:
        """Yield the inputs some at a time, each piece with the number of its first row."""
        rows = self._reader.rows_at_once
        for first in range(0, len(inputs), rows):
            yield first, inputs[first : first + rows]

    def _inputs(self, columns: Columns) -> Inputs:
        if self._takes_matrix:
            return features_matrix(self.schema, columns)
        return features_frame(self.schema, columns, self._nulls)

    def _sound(self, inputs: Inputs, first: int = 0) -> Answers:
        """Return the answers of rows, the first of which has the number `first`; raises ModelFailedError."""
        answers = self._run(inputs)
        if not answers.sound.all():
            raise self._unsound(answers, int(np.argmin(answers.sound)), first)
        return answers

    def _run(self, inputs: Inputs) -> Answers:
        """Return the answers of rows, sound or not; raises ModelFailedError if the estimator fails on them."""
        try:
            raw = self._ask(inputs)
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # SystemExit and Rust panics would end the thread, unanswered
            raised = f"version {self.version} raised {type(error).__name__}"
            raise ModelFailedError(f"{raised}: {error}", told=raised) from error
        try:
            answers: Answers = self._reader.read(raw, len(inputs))
        except ValueError as error:
            raise ModelFailedError(f"version {self.version} {error}") from error
        return answers

    def _run_all(self, inputs: Inputs) -> Answers:
        """Return the answers of all rows; a row that the estimator refuses even alone is not answered."""
        answers: Answers = self._reader.joined(self._run_halves(inputs))
        return answers

    def _run_halves(self, inputs: Inputs) -> list[Answers]:
        """Return the answers of all rows in pieces; a row that the estimator refuses even alone is not answered."""
        if not len(inputs):
            return []
        try:
            return [self._run(inputs)]
        except ModelFailedError:
            if len(inputs) == 1:
                return [self._reader.refused()]
            middle = len(inputs) // 2
            return self._run_halves(inputs[:middle]) + self._run_halves(inputs[middle:])

    def _unsound(self, answers: Answers, row: int, first: int = 0) -> ModelFailedError:
        """Return the error about row `row` of a piece; its message counts the `first` rows before that piece too."""
        return ModelFailedError(f"version {self.version} {answers.fault(row, first + row)}")


def _check_schema(version: str, schema: ModelSchema, estimator: Estimator) -> None:
    """Raise ModelFailedError if the estimator can tell that it does not accept rows of this schema."""
    check: Callable[[ModelSchema], None] | None = getattr(estimator, "check_schema", None)
    if check is None:
        return
    try:
        check(schema)
    except InvalidInputError as error:
        raise ModelFailedError(f"version {version} cannot take the rows of its schema: {error}") from error
