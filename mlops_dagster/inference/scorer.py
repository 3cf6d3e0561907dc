"""The label, score and probabilities of rows by a version."""

from collections.abc import Callable, Iterator
from typing import NamedTuple, TypeAlias, cast

import numpy as np
import numpy.typing as npt

from mlops_dagster.errors import InvalidInputError, ModelFailedError
from mlops_dagster.frames.values import text_of
from mlops_dagster.inference.asking import Inputs, answers_alike_to_a_matrix, way_to_ask
from mlops_dagster.inference.nulls import nulls_of
from mlops_dagster.inference.probabilities import are_probabilities, not_probabilities
from mlops_dagster.inference.rows import Columns, features_frame, features_matrix
from mlops_dagster.inference.trial import ALONE, answers_that_differ, trial_columns
from mlops_dagster.registry import Baseline
from mlops_dagster.registry.estimators import Estimator
from mlops_dagster.schema import ModelSchema

_Numbers: TypeAlias = npt.NDArray[np.float64]
_Places: TypeAlias = npt.NDArray[np.intp]
_Run: TypeAlias = tuple[_Places, _Numbers, npt.NDArray[np.bool_]]

_PROBABILITIES_AT_ONCE = 4_000_000
"""32 MB, and several times as much in the estimator."""


class Answers(NamedTuple):
    """One label and one score per row, and probabilities (rows, classes) in the order of the schema."""

    labels: list[str]
    scores: _Numbers
    probabilities: _Numbers


class Answered(NamedTuple):
    """Labels and scores of rows of which some may have failed: their label is None, their score NaN."""

    labels: list[str | None]
    scores: _Numbers


class Scorer:
    """A loaded version, used in the same way by everything that scores rows.

    The label of a row is the estimator's own `predict`. The score is that of `ModelSchema`: for two classes the
    probability of the last class, else the probability of the label. Raises ModelFailedError for an estimator that
    gives no probabilities or has other classes than its schema. With `some_classes`, it may lack classes, which then
    have the probability 0.
    """

    def __init__(self, version: str, schema: ModelSchema, estimator: Estimator, *, some_classes: bool = False) -> None:
        if not hasattr(estimator, "predict_proba"):
            raise ModelFailedError(
                f"version {version} has no predict_proba ({type(estimator).__name__}); register a classifier that "
                "gives probabilities"
            )
        classes = _classes(version, estimator)
        odd = set(classes) - set(schema.classes) if some_classes else set(classes) ^ set(schema.classes)
        if odd or len(set(classes)) != len(classes):
            raise ModelFailedError(f"version {version} tells {classes} apart, its schema {schema.classes}")
        _check_schema(version, schema, estimator)
        self.version = version
        self.schema = schema
        self._places = np.array([schema.classes.index(name) for name in classes])
        self._in_order = self._places.tolist() == list(range(len(schema.classes)))
        self._index = {name: place for place, name in enumerate(schema.classes)}
        self._nulls = nulls_of(version, schema, estimator)
        self._ask = way_to_ask(estimator)
        self._takes_matrix = answers_alike_to_a_matrix(self._ask, estimator, schema)

    def score(self, columns: Columns) -> Answers:
        """Score all rows, given as values by feature; raises ModelFailedError if one of them fails."""
        inputs = self._inputs(columns)
        places, probabilities, sound = self._run(inputs)
        if not sound.all():
            raise self._unsound(probabilities, places, int(np.argmin(sound)))
        return Answers(self._names(places), self._scores(places, probabilities), probabilities)

    def score_many(self, columns: Columns) -> Answered:
        """Score all rows without keeping probabilities, of which 1,000 classes have 800 MB in 100,000 rows.

        Raises ModelFailedError if one row fails.
        """
        labels: list[str | None] = []
        scores = [np.empty(0)]
        for first, inputs in self._pieces(self._inputs(columns)):
            places, probabilities, sound = self._run(inputs)
            if not sound.all():
                raise self._unsound(probabilities, places, int(np.argmin(sound)), first)
            labels += self._names(places)
            scores.append(self._scores(places, probabilities))
        return Answered(labels, np.concatenate(scores))

    def score_each(self, columns: Columns) -> Answered:
        """Score all rows, of which some may fail: of rows that fail together, halves are tried."""
        labels: list[str | None] = []
        scores = [np.empty(0)]
        pieces = (inputs for _, inputs in self._pieces(self._inputs(columns)))
        for places, probabilities, sound in (run for inputs in pieces for run in self._run_halves(inputs)):
            labels += [name if good else None for name, good in zip(self._names(places), sound.tolist(), strict=True)]
            scores.append(np.where(sound, self._scores(places, probabilities), np.nan))
        return Answered(labels, np.concatenate(scores))

    def try_out(self, baseline: Baseline | None) -> None:
        """Score made-up rows, drawn from the bins of `baseline` for features that it has; raises ModelFailedError.

        The error says one of: some scores are not probabilities; no row is answered; rows that were answered fail alone
        or together; a row got another answer when scored again, among others or alone. Refused rows prove something
        only if all are refused and the baseline has every feature.
        """
        inputs = self._inputs(trial_columns(self.schema, baseline))
        places, probabilities, sound = self._run_all(inputs)
        answered = ~np.isnan(probabilities).all(axis=1)
        if not sound[answered].all():
            raise self._unsound(probabilities, places, int(np.argmin(sound | ~answered)))
        if not answered.any():
            if baseline is not None and baseline.features.keys() >= set(self.schema.names):
                why = self._why_failed(inputs[:1])
                raise ModelFailedError(f"version {self.version} answers no row that is like its training data: {why}")
            return
        inputs = cast("Inputs", inputs[answered])
        places, probabilities = places[answered], probabilities[answered]
        self._check_again(inputs[::-1], places[::-1], probabilities[::-1], "draws nothing when it predicts")
        for row in range(min(ALONE, len(inputs))):
            alone = slice(row, row + 1)
            self._check_again(inputs[alone], places[alone], probabilities[alone], "scores each row by itself")

    def _check_again(self, inputs: Inputs, places: _Places, probabilities: _Numbers, wanted: str) -> None:
        """Score rows again as one batch; raises ModelFailedError if that fails, or if a row gets another answer."""
        try:
            places_again, again, _ = self._run(inputs)
        except ModelFailedError as error:
            raise ModelFailedError(
                f"{error}, for {len(inputs)} rows at once that it answers in other batches; register an estimator that "
                "takes any number of rows"
            ) from error
        differ = answers_that_differ(places, places_again, probabilities, again)
        if differ.any():
            row = int(np.argmax(differ))
            raise ModelFailedError(
                f"version {self.version} answers the same row differently: row {row} got the scores "
                f"{probabilities[row].tolist()} and the label {self._names(places)[row]!r}, then, in a batch "
                f"of {len(inputs)}, {again[row].tolist()} and {self._names(places_again)[row]!r}; register one "
                f"that {wanted}"
            )

    def _why_failed(self, row: Inputs) -> ModelFailedError:
        try:
            places, probabilities, _ = self._run(row)
        except ModelFailedError as error:
            return error
        return self._unsound(probabilities, places, 0)

    def _pieces(self, inputs: Inputs) -> Iterator[tuple[int, Inputs]]:
        """Yield the inputs some at a time, each piece with the number of its first row."""
        rows = max(_PROBABILITIES_AT_ONCE // len(self.schema.classes), 1)
        for first in range(0, len(inputs), rows):
            yield first, inputs[first : first + rows]

    def _inputs(self, columns: Columns) -> Inputs:
        if self._takes_matrix:
            return features_matrix(self.schema, columns)
        return features_frame(self.schema, columns, self._nulls)

    def _run(self, inputs: Inputs) -> _Run:
        """Return each row's label as an index in the schema (-1: none), its probabilities, and if both are sound."""
        try:
            said, raw = self._ask(inputs)
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # SystemExit and Rust panics would end the thread, unanswered
            raised = f"version {self.version} raised {type(error).__name__}"
            raise ModelFailedError(f"{raised}: {error}", told=raised) from error
        rows, classes = len(inputs), len(self._places)
        if raw.shape != (rows, classes) or (said is not None and said.size != rows):
            raise ModelFailedError(
                f"version {self.version} returned {raw.shape} probabilities for {rows} rows of {classes} classes"
                + ("" if said is None else f", and {said.size} labels")
            )
        probabilities = self._in_schema(raw)
        sound = are_probabilities(probabilities)
        if said is None:
            return self._places[raw.argmax(axis=1)], probabilities, sound
        places = np.array([self._place(label) for label in said.ravel().tolist()], dtype=np.intp)
        return places, probabilities, sound & (places >= 0)

    def _place(self, label: object) -> int:
        """Return the index of the class in the schema; -1 if it is not there."""
        try:
            return self._index.get(label if type(label) is str else text_of(label), -1)
        except InvalidInputError:
            return -1

    def _run_all(self, inputs: Inputs) -> _Run:
        """Score as `_run` does, all rows; a row that the estimator refuses even alone has NaN probabilities."""
        places, probabilities, sound = zip(*self._run_halves(inputs), strict=True)
        return np.concatenate(places), np.concatenate(probabilities), np.concatenate(sound)

    def _run_halves(self, inputs: Inputs) -> list[_Run]:
        """Score as `_run` does, in pieces; a row that the estimator refuses even alone has NaN probabilities."""
        if not len(inputs):
            return []
        try:
            return [self._run(inputs)]
        except ModelFailedError:
            if len(inputs) == 1:
                none = np.full((1, len(self.schema.classes)), np.nan)
                return [(np.array([0], dtype=np.intp), none, np.array([False]))]
            middle = len(inputs) // 2
            return self._run_halves(inputs[:middle]) + self._run_halves(inputs[middle:])

    def _in_schema(self, raw: _Numbers) -> _Numbers:
        if self._in_order:
            return raw
        probabilities = np.zeros((len(raw), len(self.schema.classes)))
        probabilities[:, self._places] = raw
        return probabilities

    def _names(self, places: npt.NDArray[np.intp]) -> list[str]:
        return [self.schema.classes[place] for place in places.tolist()]

    def _scores(self, places: npt.NDArray[np.intp], probabilities: _Numbers) -> _Numbers:
        if len(self.schema.classes) == 2:
            return probabilities[:, -1]
        return probabilities[np.arange(len(places)), places]

    def _unsound(
        self, probabilities: _Numbers, places: npt.NDArray[np.intp], row: int, first: int = 0
    ) -> ModelFailedError:
        """Return the error about row `row` of a piece; its message counts the `first` rows before that piece too."""
        if places[row] < 0:
            return ModelFailedError(
                f"version {self.version} gave row {first + row} a label that is none of its classes "
                f"{self.schema.classes}"
            )
        return ModelFailedError(not_probabilities(self.version, first + row, probabilities[row].tolist()))


def _classes(version: str, estimator: Estimator) -> list[str]:
    try:
        return [text_of(label) for label in np.asarray(estimator.classes_).tolist()]
    except InvalidInputError as error:
        raise ModelFailedError(f"version {version} tells classes apart that are none: {error}") from error


def _check_schema(version: str, schema: ModelSchema, estimator: Estimator) -> None:
    """Raise ModelFailedError if the estimator can tell that it does not accept rows of this schema."""
    check: Callable[[ModelSchema], None] | None = getattr(estimator, "check_schema", None)
    if check is None:
        return
    try:
        check(schema)
    except InvalidInputError as error:
        raise ModelFailedError(f"version {version} cannot take the rows of its schema: {error}") from error
