"""The answers of a version to a batch of rows, as arrays, and the outputs that they have in the protocol."""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Literal, NamedTuple, Protocol, Self, TypeAlias, TypeVar

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    import pandas as pd

Numbers: TypeAlias = npt.NDArray[np.float64]
Mask: TypeAlias = npt.NDArray[np.bool_]
Rows: TypeAlias = "slice | Mask"
Inputs: TypeAlias = "pd.DataFrame | npt.NDArray[np.float64]"
"""Rows as an estimator gets them: a frame by name, or a bare matrix if the version was found to answer that alike."""


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


class RawOutputs(NamedTuple):
    """The outputs of an estimator for some rows."""

    labels: "npt.NDArray[np.generic] | None"
    """The labels of a classifier; None if they are the most probable classes, and for other kinds."""
    values: Numbers
    """The probabilities by class (rows, classes) of a classifier; else the predicted values."""


Ask: TypeAlias = Callable[[Inputs], RawOutputs]
"""A function from rows to the raw outputs of one estimator."""


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
        """Return the outputs other than `label` and `score`, by name: (rows,), or (rows, width)."""
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
