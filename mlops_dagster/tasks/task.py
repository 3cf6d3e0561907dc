"""The protocol of a task: what one kind of model answers, and how its answers are judged. Pure."""

from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping, Sequence
from typing import Any, ClassVar, Final, Literal, NamedTuple, Protocol, Self, TypeAlias, TypeVar

import numpy as np
import numpy.typing as npt

from mlops_dagster.documents.strict import StrictModel
from mlops_dagster.frames.values import text_of
from mlops_dagster.statistics import Bins

Numbers: TypeAlias = npt.NDArray[np.float64]
Mask: TypeAlias = npt.NDArray[np.bool_]
Rows: TypeAlias = "slice | Mask"

Column: TypeAlias = "npt.NDArray[Any] | Sequence[Any]"
"""One text a row."""

Sums: TypeAlias = Mapping[tuple[str, ...], float]
"""Sufficient statistics of labelled answers: sums by key, which add up over hours, replicas and pieces of a table."""


WRONG_FROM: Final = 0.5
"""The loss from which an answer is called wrong; that of a class is 0 or 1."""


class Output(NamedTuple):
    """One output of an answer, as the Open Inference Protocol describes it."""

    name: str
    datatype: Literal["BYTES", "FP64"]
    width: int | None = None
    """The number of values a row; None for a single one, whose tensor has one dimension."""
    parameters: Mapping[str, object] | None = None
    """What its tensor's parameters tell of it, such as the names of its values."""
    on_request: bool = False
    """Whether it is given only to requests that ask for it."""


class Measure(NamedTuple):
    """A quality measure of labelled answers, and its 95 % interval if that is known."""

    value: float
    interval: tuple[float, float] | None = None


class RawOutputs(NamedTuple):
    """The outputs of an estimator for some rows."""

    labels: "npt.NDArray[np.generic] | None"
    """The labels of a classifier; None if they are the most probable classes, and for other kinds."""
    values: Numbers
    """The probabilities by class (rows, classes) of a classifier; else the predicted values."""


class Answers(Protocol):
    """The answers of a version to some rows, kept as arrays."""

    @property
    def sound(self) -> Mask:
        """Return for each row whether its answer may be used."""
        ...

    @property
    def answered(self) -> Mask:
        """Return for each row whether the estimator gave any answer, sound or not."""
        ...

    def labels(self) -> list[str]:
        """Return the prediction of each row as text; of an unsound row any text."""
        ...

    def scores(self) -> Numbers:
        """Return the score of each row, the number that drift is measured by."""
        ...

    def tensors(self) -> Mapping[str, Numbers]:
        """Return the outputs that are given on request, (rows, width), by name."""
        ...

    def at(self, rows: Rows) -> Self:
        """Return the answers of some of the rows."""
        ...

    def differ(self, again: Self) -> Mask:
        """Return for each row whether `again`, of the same rows, answers it differently, by more than rounding."""
        ...

    def shown(self, row: int) -> tuple[str, str]:
        """Return the score and the label of a row for a message, each with its name."""
        ...

    def fault(self, row: int, number: int) -> str:
        """Return why an unsound row, called `number` in the message, cannot be used; it follows "version 1.0.0 "."""
        ...


_Answers = TypeVar("_Answers", bound=Answers)


class AnswerReader(Protocol[_Answers]):
    """Makes answers from the raw outputs of one estimator."""

    @property
    def rows_at_once(self) -> int:
        """Return the largest number of rows whose raw outputs fit well into memory."""
        ...

    def read(self, raw: RawOutputs, rows: int) -> _Answers:
        """Return the answers of `rows` rows; raises ValueError with the reason for outputs of another shape."""
        ...

    def refused(self) -> _Answers:
        """Return the answer of one row that the estimator refused: unsound, and not answered."""
        ...

    def joined(self, parts: Sequence[_Answers]) -> _Answers:
        """Return several answers of this reader, at least one, as one."""
        ...


class Task(StrictModel, ABC):
    """The meaning of one kind of model's answers.

    A prediction and a truth are texts: those of the log's columns `prediction` and `label`. The loss of a prediction
    lies between 0 and 1, and is all that comparisons, rollouts and concept drift are made of. Versions of one model
    have tasks of one kind.
    """

    kind: str

    merit: ClassVar[str]
    """The name of 1 - mean loss, "accuracy" of a classifier; tests are worded with it."""
    headline: ClassVar[str]
    """The measure that is held to the limits of a PerformancePolicy."""
    required: ClassVar[tuple[str, ...]]
    """The measures without which a model card is not complete."""
    headings: ClassVar[Mapping[str, str]]
    """The measures that tables show, in order, with their headings; `headline` is among them."""

    @property
    @abstractmethod
    def outputs(self) -> tuple[Output, ...]:
        """The outputs of an answer, those by default first; `prediction_id` is added by the server."""

    @classmethod
    @abstractmethod
    def check_estimator(cls, estimator: object, *, fitted: bool) -> None:
        """Raise InvalidInputError for an estimator that cannot answer this kind of task, `fitted` or to be fitted."""

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

    @abstractmethod
    def truth_bins(self, labels: Sequence[str | None]) -> Bins:
        """Return the bins in which labels are counted for label drift, given those of the training set."""

    @abstractmethod
    def score_bins(self, scores: Numbers) -> Bins:
        """Return the bins in which scores are counted for drift, given those of the evaluation."""
