"""The label, score and probabilities of rows, as a version gives them."""

import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias, cast

import numpy as np
import numpy.typing as npt

from mlops_dagster.errors import ModelFailedError
from mlops_dagster.inference.probabilities import are_probabilities, not_probabilities
from mlops_dagster.inference.rows import Columns, features_frame, features_matrix
from mlops_dagster.inference.structure import null_of, predicts_most_probable
from mlops_dagster.inference.trial import trial_columns
from mlops_dagster.registry import Baseline
from mlops_dagster.registry.estimators import Estimator
from mlops_dagster.schema import ModelSchema

if TYPE_CHECKING:
    import pandas as pd

_Numbers: TypeAlias = npt.NDArray[np.float64]
_Inputs: TypeAlias = "pd.DataFrame | npt.NDArray[np.float64]"
_Asked: TypeAlias = "tuple[npt.NDArray[np.generic] | None, _Numbers]"

_TIE: Final = 1e-6
"""Two best classes that are closer than this are a tie: `predict` decides it."""


class Answers(NamedTuple):
    """One label and one score per row, and probabilities (rows, classes) in the order of the schema."""

    labels: list[str]
    scores: _Numbers
    probabilities: _Numbers


class Answered(NamedTuple):
    """As `Answers`, for rows of which some may have failed: their label is None, their score NaN."""

    labels: list[str | None]
    scores: _Numbers


class Scorer:
    """A version in memory, asked in one way by everything that scores rows.

    The label of a row is the estimator's own `predict`. The score is that of `ModelSchema`: of two classes the
    probability of the last, else of the label. Raises ModelFailedError for an estimator that gives no probabilities or
    has other classes than its schema. With `some_classes`, it may lack classes: they get the probability 0.
    """

    def __init__(self, version: str, schema: ModelSchema, estimator: Estimator, *, some_classes: bool = False) -> None:
        if not hasattr(estimator, "predict_proba"):
            raise ModelFailedError(
                f"version {version} has no predict_proba ({type(estimator).__name__}); wrap it in scikit-learn's "
                "CalibratedClassifierCV, or use a classifier that gives probabilities"
            )
        classes = [str(label) for label in np.asarray(estimator.classes_).tolist()]
        odd = set(classes) - set(schema.classes) if some_classes else set(classes) ^ set(schema.classes)
        if odd or len(set(classes)) != len(classes):
            raise ModelFailedError(f"version {version} tells {classes} apart, its schema {schema.classes}")
        self.version = version
        self.schema = schema
        self._estimator = estimator
        self._places = np.array([schema.classes.index(name) for name in classes])
        self._in_order = self._places.tolist() == list(range(len(schema.classes)))
        self._index = {name: place for place, name in enumerate(schema.classes)}
        self._null = null_of(estimator)
        self._ask: Callable[[_Inputs], _Asked] = self._way_to_ask()
        self._takes_matrix = self._answers_alike_to_a_matrix()

    def score(self, columns: Columns) -> Answers:
        """Score all rows, given as values by feature; raises ModelFailedError if one of them fails."""
        inputs = self._inputs(columns)
        places, probabilities, sound = self._run(inputs)
        if not sound.all():
            raise self._unsound(probabilities, places, int(np.argmin(sound)))
        return Answers(self._names(places), self._scores(places, probabilities), probabilities)

    def score_each(self, columns: Columns) -> Answered:
        """Score all rows, of which some may fail: of rows that fail together, halves are tried."""
        inputs = self._inputs(columns)
        labels: list[str | None] = []
        scores = [np.empty(0)]
        for places, probabilities, sound in self._run_halves(inputs):
            labels += [name if good else None for name, good in zip(self._names(places), sound.tolist(), strict=True)]
            scores.append(np.where(sound, self._scores(places, probabilities), np.nan))
        return Answered(labels, np.concatenate(scores))

    def try_out(self, baseline: Baseline | None) -> None:
        """Score made-up rows, drawn from the bins of `baseline` where it has them; raises ModelFailedError.

        The error says which scores are no probabilities. Rows that the estimator refuses prove nothing about it.
        """
        for places, probabilities, sound in self._run_halves(self._inputs(trial_columns(self.schema, baseline))):
            answered = ~np.isnan(probabilities).all(axis=1)
            if not sound[answered].all():
                raise self._unsound(probabilities, places, int(np.argmin(sound | ~answered)))

    def _inputs(self, columns: Columns) -> _Inputs:
        if self._takes_matrix:
            return features_matrix(self.schema, columns)
        return features_frame(self.schema, columns, self._null)

    def _run(self, inputs: _Inputs) -> tuple[npt.NDArray[np.intp], _Numbers, npt.NDArray[np.bool_]]:
        """Return the place of each row's label in the schema, -1 for no class; its probabilities; if both are sound."""
        try:
            said, found = self._ask(inputs)
            raw = np.asarray(found, dtype=np.float64)
        except Exception as error:
            raise ModelFailedError(f"version {self.version} raised {type(error).__name__}: {error}") from error
        rows, classes = len(inputs), len(self._places)
        if raw.shape != (rows, classes) or (said is not None and said.size != rows):
            raise ModelFailedError(
                f"version {self.version} returned {raw.shape} probabilities for {rows} rows of {classes} classes"
                + ("" if said is None else f", and {said.size} labels")
            )
        probabilities = self._in_schema(raw)
        sound = are_probabilities(probabilities)
        if said is None:
            return probabilities.argmax(axis=1), probabilities, sound
        places = np.array([self._index.get(str(label), -1) for label in said.ravel().tolist()], dtype=np.intp)
        return places, probabilities, sound & (places >= 0)

    def _run_halves(self, inputs: _Inputs) -> list[tuple[npt.NDArray[np.intp], _Numbers, npt.NDArray[np.bool_]]]:
        """As `_run`, in pieces; a row that the estimator refuses by itself has no probabilities."""
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

    def _unsound(self, probabilities: _Numbers, places: npt.NDArray[np.intp], row: int) -> ModelFailedError:
        if places[row] < 0:
            return ModelFailedError(
                f"version {self.version} gave row {row} a label that is none of its classes {self.schema.classes}"
            )
        return ModelFailedError(not_probabilities(self.version, row, probabilities[row].tolist()))

    def _way_to_ask(self) -> Callable[[_Inputs], _Asked]:
        """The cheapest way to the estimator's own labels: together with its probabilities, or known by structure."""
        both = getattr(self._estimator, "predict_with_proba", None)
        if both is not None:
            return cast("Callable[[_Inputs], _Asked]", both)
        if not hasattr(self._estimator, "predict"):
            return lambda inputs: (None, self._proba(inputs))
        if predicts_most_probable(self._estimator):
            return self._most_probable
        return lambda inputs: (self._predict(inputs), self._proba(inputs))

    def _most_probable(self, inputs: _Inputs) -> _Asked:
        """Only rows whose two best classes are close are asked for their label as well."""
        found = self._proba(inputs)
        if found.ndim != 2 or found.shape[1] < 2 or len(found) != len(inputs):
            return None, found
        if found.shape[1] == 2:
            close = np.abs(found[:, 0] - found[:, 1]) < _TIE
        else:
            best = np.partition(found, -2, axis=1)
            close = best[:, -1] - best[:, -2] < _TIE
        if not close.any():
            return None, found
        labels = np.asarray(self._estimator.classes_).astype(np.object_)[found.argmax(axis=1)]
        labels[close] = self._predict(inputs[close])
        return labels, found

    def _proba(self, inputs: _Inputs) -> _Numbers:
        return np.asarray(self._estimator.predict_proba(inputs), dtype=np.float64)  # type: ignore[arg-type]  # a matrix where that was tried

    def _predict(self, inputs: _Inputs) -> npt.NDArray[np.generic]:
        return np.asarray(self._estimator.predict(inputs))  # type: ignore[attr-defined]  # asked for only if it is there

    def _answers_alike_to_a_matrix(self) -> bool:
        """Whether an estimator that was fitted on these columns answers the same to their bare matrix; found by trying.

        scikit-learn looks at a frame's names and types for a quarter of a millisecond; here they come in the schema's
        order, and checked. One that picks columns by name fails with a matrix, and goes on getting frames.
        """
        if tuple(getattr(self._estimator, "feature_names_in_", ())) != self.schema.names:
            return False
        if any(feature.kind == "categorical" for feature in self.schema.features):
            return False
        # The names are left out knowingly.
        warnings.filterwarnings("ignore", message="X does not have valid feature names", category=UserWarning)
        made_up = np.random.default_rng(0).normal(scale=10, size=(len(self.schema.names), 16))
        columns = dict(zip(self.schema.names, made_up, strict=True))
        try:
            frame, matrix = features_frame(self.schema, columns), features_matrix(self.schema, columns)
            said, one = self._ask(frame)
            again, other = self._ask(matrix)
        except Exception:  # of whatever kind: the frame is what it is known to take
            return False
        return np.array_equal(one, other) and (said is again or np.array_equal(said, again))  # type: ignore[arg-type]
