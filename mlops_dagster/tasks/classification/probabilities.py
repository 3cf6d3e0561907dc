"""Labels and probabilities of a classifier: read by the classes of its schema, and checked row by row."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Self, TypeAlias, cast

import numpy as np
import numpy.typing as npt

from mlops_dagster.errors import InvalidInputError
from mlops_dagster.frames.values import text_of
from mlops_dagster.tasks.answers import Mask, Numbers, RawOutputs, Rows

_Places: TypeAlias = npt.NDArray[np.intp]

SUM_TOLERANCE: Final = 0.01
"""The largest distance from 1 of the sum of a row's probabilities: a quantised softmax is off by some thousandths."""
_BELOW_ZERO: Final = 1e-6
_ROUNDING: Final = 1e-3
"""float32 probabilities differ by less than this with the place of a row in a batch; random ones by more."""
_PROBABILITIES_AT_ONCE: Final = 4_000_000
"""32 MB, and several times as much in the estimator."""


@dataclass(frozen=True, slots=True)
class ClassAnswers:
    """The label of each row as an index of `classes` (-1: none of them), and its probabilities (rows, classes)."""

    classes: tuple[str, ...]
    places: _Places
    probabilities: Numbers
    sound: Mask
    """Whether the label is a class, and the probabilities are at least 0 and sum to about 1."""

    @property
    def answered(self) -> Mask:
        """Return for each row whether it has any probability."""
        return np.logical_not(np.isnan(self.probabilities).all(axis=1))

    def labels(self) -> list[str]:
        """Return the class of each row; of an unsound row any class."""
        return [self.classes[place] for place in self.places.tolist()]

    def scores(self) -> Numbers:
        """Return the probability of the last of two classes, else of the label."""
        if len(self.classes) == 2:
            return self.probabilities[:, -1]
        return self.probabilities[np.arange(len(self.places)), self.places]

    def tensors(self) -> Mapping[str, Numbers]:
        """Return the probabilities."""
        return {"probabilities": self.probabilities}

    def at(self, rows: Rows) -> Self:
        """Return the answers of some of the rows."""
        return type(self)(self.classes, self.places[rows], self.probabilities[rows], self.sound[rows])

    def differ(self, again: Self) -> Mask:
        """Return a mask of rows with two answers: other probabilities, or another label with exactly equal ones.

        Threads add in any order, so probabilities may differ by rounding, and near a threshold the label too. A row
        that the estimator refused has NaN for its probabilities, and counts as equal.
        """
        apart = np.abs(self.probabilities - again.probabilities).max(axis=1)
        differ: Mask = (apart > _ROUNDING) | ((apart == 0) & (self.places != again.places))
        return differ

    def shown(self, row: int) -> tuple[str, str]:
        """Return probabilities and label of a row for a message."""
        return f"the scores {self.probabilities[row].tolist()}", f"the label {self.classes[self.places[row]]!r}"

    def fault(self, row: int, number: int) -> str:
        """Return why an unsound row, called `number`, cannot be used."""
        if self.places[row] < 0:
            return f"gave row {number} a label that is none of its classes {self.classes}"
        return not_probabilities(number, self.probabilities[row].tolist())


class ProbabilityReader:
    """Reads the labels and probabilities of one classifier by the classes of its schema.

    With `partial` it may lack classes, which then have the probability 0. Raises ValueError, with the reason, for an
    estimator that gives no probabilities or has other classes.
    """

    def __init__(self, classes: tuple[str, ...], estimator: object, *, partial: bool) -> None:
        if not hasattr(estimator, "predict_proba"):
            raise ValueError(
                f"has no predict_proba ({type(estimator).__name__}); register a classifier that gives probabilities"
            )
        own = _classes_of(estimator)
        odd = set(own) - set(classes) if partial else set(own) ^ set(classes)
        if odd or len(set(own)) != len(own):
            raise ValueError(f"tells {own} apart, its schema {classes}")
        self._classes = classes
        self._places = np.array([classes.index(name) for name in own])
        self._in_order = self._places.tolist() == list(range(len(classes)))
        self._index = {name: place for place, name in enumerate(classes)}

    @property
    def rows_at_once(self) -> int:
        """Return the number of rows with some million probabilities."""
        return max(_PROBABILITIES_AT_ONCE // len(self._classes), 1)

    def read(self, raw: RawOutputs, rows: int) -> ClassAnswers:
        """Return the answers of `rows` rows; raises ValueError for outputs of another shape."""
        said, found = raw
        classes = len(self._places)
        if found.shape != (rows, classes) or (said is not None and said.size != rows):
            raise ValueError(
                f"returned {found.shape} probabilities for {rows} rows of {classes} classes"
                + ("" if said is None else f", and {said.size} labels")
            )
        probabilities = self._in_schema(found)
        sound = are_probabilities(probabilities)
        if said is None:
            return ClassAnswers(self._classes, self._places[found.argmax(axis=1)], probabilities, sound)
        places = np.array([self._place(label) for label in said.ravel().tolist()], dtype=np.intp)
        return ClassAnswers(self._classes, places, probabilities, sound & (places >= 0))

    def refused(self) -> ClassAnswers:
        """Return a row that the estimator refused, whose probabilities are NaN."""
        none = np.full((1, len(self._classes)), np.nan)
        return ClassAnswers(self._classes, np.array([0], dtype=np.intp), none, np.array([False]))

    def joined(self, parts: Sequence[ClassAnswers]) -> ClassAnswers:
        """Return several answers as one."""
        return ClassAnswers(
            self._classes,
            np.concatenate([part.places for part in parts]),
            np.concatenate([part.probabilities for part in parts]),
            np.concatenate([part.sound for part in parts]),
        )

    def _place(self, label: object) -> int:
        """Return the index of the class in the schema; -1 if it is not there."""
        try:
            return self._index.get(label if type(label) is str else text_of(label), -1)
        except InvalidInputError:
            return -1

    def _in_schema(self, raw: Numbers) -> Numbers:
        if self._in_order:
            return raw
        probabilities = np.zeros((len(raw), len(self._classes)))
        probabilities[:, self._places] = raw
        return probabilities


def _classes_of(estimator: object) -> list[str]:
    try:
        return [text_of(label) for label in np.asarray(cast("Any", estimator).classes_).tolist()]
    except InvalidInputError as error:
        raise ValueError(f"tells classes apart that are none: {error}") from error


def are_probabilities(scores: Numbers) -> Mask:
    """Return for each row of (rows, classes) whether its scores are at least 0 and sum to about 1.

    >>> are_probabilities(np.array([[0.3, 0.7], [-2.0, 3.0], [0.9, 0.8], [np.nan, 1.0]])).tolist()
    [True, False, False, False]
    """
    sound: Mask = np.abs(scores.sum(axis=1) - 1) <= SUM_TOLERANCE  # false for NaN
    if scores.size and not scores.min() >= -_BELOW_ZERO:
        sound &= scores.min(axis=1) >= -_BELOW_ZERO
    return sound


def not_probabilities(row: int, scores: Sequence[float]) -> str:
    """Return the reason for a row whose scores are not probabilities."""
    some = ", ".join(f"{score:.6g}" for score in scores[:5]) + (", ..." if len(scores) > 5 else "")
    if not np.isfinite(scores).all():
        return f"gave row {row} the scores [{some}], not all of them finite"
    return (
        f"gave row {row} the scores [{some}], which are not probabilities (none under 0, about 1 in "
        "sum): they look like margins, logits or votes; register the model with its softmax or sigmoid at the end "
        "(XGBoost: objective multi:softprob or binary:logistic, without output_margin)"
    )
