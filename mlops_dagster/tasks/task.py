"""The protocol of a task: what one kind of model answers, and how its answers are judged. Pure."""

from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Final, TypeAlias

import numpy as np
import numpy.typing as npt

from mlops_dagster.documents.strict import StrictModel
from mlops_dagster.errors import InvalidInputError
from mlops_dagster.frames.values import text_of
from mlops_dagster.statistics import Bins
from mlops_dagster.tasks.answers import AnswerReader, Ask, Mask, Numbers, Output, RawOutputs
from mlops_dagster.tasks.calibration import Calibration, Places
from mlops_dagster.tasks.group_rates import GroupRates
from mlops_dagster.tasks.onnx import OnnxModel
from mlops_dagster.tasks.outlook import Outlook
from mlops_dagster.tasks.quality_limits import FirstLimits, Least, QualityLimits

if TYPE_CHECKING:
    import pandas as pd

Column: TypeAlias = "npt.NDArray[Any] | Sequence[Any]"
"""One text a row."""

Sums: TypeAlias = Mapping[tuple[str, ...], float]
"""Sufficient statistics of labelled answers: sums by key, which add up over hours, replicas and pieces of a table."""


ACCURACY: Final = "accuracy"
"""The measure that every evaluation has: the share of its answers that are not wrong."""

WRONG_FROM: Final = 0.5
"""The loss from which an answer is called wrong; that of a class is 0 or 1."""


@dataclass(frozen=True, slots=True)
class Measure:
    """A quality measure of labelled answers, and its 95 % interval if that is known."""

    value: float
    interval: tuple[float, float] | None = None


class Task(StrictModel, ABC):
    """The meaning of one kind of model's answers.

    A prediction and a truth are texts: those of the log's columns `prediction` and `label`. The loss of a prediction
    lies between 0 and 1, and is all that comparisons, rollouts and concept drift are made of. Versions of one model
    have tasks of one kind.
    """

    kind: str

    merit: ClassVar[str]
    """The name of 1 - mean loss, "accuracy" of a classifier; tests are worded with it."""
    truth_noun: ClassVar[str] = "truth"
    """The noun for a truth, "class" of a classifier; lists, tables and reasons name truths with it."""
    headline: ClassVar[str]
    """The measure that is held to the limits of a PerformancePolicy."""
    required: ClassVar[tuple[str, ...]]
    """The measures without which a model card is not complete."""
    headings: ClassVar[Mapping[str, str]]
    """The measures that tables show, in order, with their headings; `headline` is among them."""
    gap_headings: ClassVar[Mapping[str, str]] = {}
    """The gaps of `group_rates`, with what they are gaps in."""

    @property
    @abstractmethod
    def outputs(self) -> tuple[Output, ...]:
        """The outputs of an answer, those by default first; `prediction_id` is added by the server."""

    @classmethod
    @abstractmethod
    def check_estimator(cls, estimator: object, *, fitted: bool) -> None:
        """Raise InvalidInputError for an estimator that cannot answer this kind of task, `fitted` or to be fitted."""

    @classmethod
    def prepared(cls, estimator: Any) -> Any:
        """Return an unfitted estimator that can be fitted on truths as texts: `estimator`, or a wrapper around it."""
        return estimator

    def way_to_ask(self, estimator: Any) -> Ask:
        """Return a function from rows to the raw outputs of the estimator: by default, the values that it predicts."""
        return lambda inputs: RawOutputs(None, np.asarray(estimator.predict(inputs), dtype=np.float64))

    def targets(self, labels: "pd.Series[str]") -> "pd.Series[Any]":
        """Return the values that an estimator is fitted on, given the labels: by default these."""
        return labels

    def of_onnx(self, model: OnnxModel) -> Any:  # noqa: ARG002  # for tasks that read none
        """Return the model of an ONNX file as an estimator of this task; raises InvalidInputError for its outputs."""
        raise InvalidInputError(
            f"models in ONNX files are not taken for the task {self.kind!r}; register the estimator, or its skops file"
        )

    @abstractmethod
    def reader(self, estimator: object, *, partial: bool) -> AnswerReader[Any]:
        """Return the reader of the estimator's raw outputs.

        With `partial`, it may know only some of the truths. Raises ValueError with the reason for an estimator that
        answers another task; the reason follows "version 1.0.0 ".
        """

    @property
    def truths(self) -> tuple[str, ...]:
        """Every truth there is, in order; empty if they cannot be listed."""
        return ()

    @property
    def asked(self) -> str | None:
        """The truth that matters to people, by which groups are compared in a fairness audit; None if all do alike."""
        return None

    def read_truth(self, value: object) -> str:
        """Return the text of a label as it was sent; raises InvalidInputError."""
        return text_of(value)

    @abstractmethod
    def accepted(self, labels: Collection[str]) -> set[str]:
        """Return those of the labels that can be the truth of an answer."""

    def joined(self, other: "Task") -> "Task":  # noqa: ARG002  # for tasks whose truths cannot be listed
        """Return the task whose truths are those of both: versions of one model may tell other classes apart."""
        return self

    @abstractmethod
    def describe(self) -> Mapping[str, tuple[str, ...]]:
        """Return what people are told of the task, by name, such as {"classes": ("on_time", "late")}."""

    @property
    def told(self) -> str:
        """The task in words: "classes 'on_time', 'late'"."""
        return "; ".join(f"{name} {', '.join(map(repr, values))}" for name, values in self.describe().items())

    @abstractmethod
    def loss(self, prediction: str, truth: str) -> float:
        """Return the loss of an answer, between 0 and 1; 0 for the truth itself."""

    def losses(self, predictions: Column, truths: Column) -> Numbers:
        """Return the loss of each row; it is 1 where the prediction is None, as that version failed on the row."""
        pairs = zip(predictions, truths, strict=True)
        return np.array([1.0 if said is None else self.loss(said, truth) for said, truth in pairs], dtype=np.float64)

    def wrong(self, predictions: Column, truths: Column) -> Mask:
        """Return for each row whether its answer is wrong: whether it loses half of all that can be lost, or more."""
        return np.asarray(self.losses(predictions, truths) >= WRONG_FROM)

    def cell(self, text: str) -> str:
        """Return the name under which a prediction or truth is counted: of a model there are some thousands at most."""
        return text

    def stratum(self, truth: str) -> str:  # noqa: ARG002  # for tasks whose truths cannot be listed
        """Return the name of the truths whose losses are compared by themselves; one name if all count alike."""
        return "all"

    @abstractmethod
    def sums(self, truths: Column, predictions: Column, rows: Sequence[int] | None = None) -> Sums:
        """Return the sufficient statistics of labelled answers; raises InvalidInputError for missing truths.

        With `rows`, each answer counts so many times, and a prediction of None is that of a version that failed: its
        loss is 1.
        """

    @abstractmethod
    def measures(self, sums: Sums, *, intervals: bool = True) -> Mapping[str, Measure]:
        """Return the quality measures by name, from the statistics of one answer at least; if asked, with intervals."""

    def by_truth(self, sums: Sums) -> dict[str, dict[str, int]]:  # noqa: ARG002  # for tasks without such counts
        """Return the count of each prediction by truth, a table for people; empty if predictions are not counted."""
        return {}

    def group_rates(self, cells: "pd.DataFrame", asked: str | None) -> Sequence[GroupRates]:  # noqa: ARG002
        """Return the rates by which groups are compared in a fairness audit, other than the merit; by default none.

        `cells` has the columns true, predicted, group and rows: the number of rows of each combination. `asked` is the
        truth that the rates are about, see `asked`.
        """
        return ()

    @classmethod
    def of_labels(cls, shares: Mapping[str, float]) -> "Task":  # noqa: ARG003  # as above
        """Return the task of labels with these shares, the commonest first, for a new project.

        Raises ValueError for labels that are of another kind of task.
        """
        raise ValueError(f"no {cls.__name__} can be made of labels alone")

    def first_limits(self, shares: Mapping[str, float]) -> FirstLimits:  # noqa: ARG002  # as above
        """Return limits for the first versions, from the shares of the labels: over what takes no model."""
        raise ValueError(f"the shares of labels tell no limits of the task {self.kind!r}")

    def calibrate(self, predictions: Column, scores: Numbers, truths: Column) -> Calibration | None:  # noqa: ARG002
        """Return how right the answers of an evaluation were, by score; None if scores do not tell that."""
        return None

    def expected(
        self,
        calibration: Calibration,  # noqa: ARG002  # for tasks without calibrations
        places: Places,  # noqa: ARG002
        worth: tuple[float, float] | None,  # noqa: ARG002
    ) -> Mapping[str, Measure]:
        """Return the quality measures that are expected of answers without labels, from the brackets of their scores.

        `places` counts one answer at least, and only predictions that the calibration knows. `worth` is how many rows
        are worth one, in the evaluation and among the answers; if it is None, no interval is known.
        """
        return {}

    def outlook(self, counts: Mapping[str, Mapping[str, int]]) -> Outlook | None:  # noqa: ARG002  # as `by_truth`
        """Return the outlook of the headline measure from an evaluation's counts of predictions by truth.

        None if the counts are empty, or do not tell the measure.
        """
        return None

    @abstractmethod
    def least(self, limits: QualityLimits) -> Sequence[Least]:
        """Return the least quality measures that a version must have in its evaluation before it may be champion."""

    @abstractmethod
    def truth_bins(self, labels: Sequence[str | None]) -> Bins:
        """Return the bins in which labels are counted for label drift, given those of the training set."""

    @abstractmethod
    def score_bins(self, scores: Numbers) -> Bins:
        """Return the bins in which scores are counted for drift, given those of the evaluation."""
