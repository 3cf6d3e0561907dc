"""What waiting mends is tried again; what it does not is told at once."""

import json
from collections.abc import Callable

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sqlalchemy.exc import OperationalError

from mlops_dagster.errors import (
    ConflictError,
    InvalidInputError,
    ModelFailedError,
    ModelTimeoutError,
    StorageError,
    TrainingDataError,
)
from mlops_dagster.retraining.retries import may_pass


def half_an_answer() -> None:
    json.loads('{"rows": [')


def wrapped() -> None:
    """As read from a server that is away, by code that has its own errors."""
    try:
        raise ConnectionResetError
    except OSError as error:
        raise InvalidInputError("the warehouse did not answer") from error


def beside() -> None:
    """An error of one's own, for which another one is not to blame."""
    try:
        raise ConnectionResetError
    except OSError:
        raise KeyError("amount") from None


def fit_nan() -> None:
    LogisticRegression().fit(np.array([[np.nan], [1.0]]), [0, 1])


def raises(error: BaseException) -> Callable[[], None]:
    def raising() -> None:
        raise error

    return raising


@pytest.mark.parametrize(
    ("failing", "passes"),
    [
        (half_an_answer, True),
        (wrapped, True),
        (raises(TimeoutError()), True),
        (raises(OperationalError("select 1", {}, Exception("server closed the connection"))), True),
        (raises(StorageError("the database is away")), True),
        (raises(ConflictError("somebody was first")), True),
        (raises(ModelTimeoutError("too slow")), True),
        (raises(MemoryError()), True),
        (raises(RuntimeError("cuda")), True),
        (beside, False),
        (fit_nan, False),
        (lambda: eval("def f(:"), False),  # noqa: S307
        (lambda: pd.read_csv("x"), False),  # type: ignore[name-defined]  # noqa: F821  # which is the mistake
        (lambda: "".no_such_method(), False),  # type: ignore[attr-defined]
        (lambda: __import__("no_such_package"), False),
        (raises(TrainingDataError("too few rows")), False),
        (raises(InvalidInputError("no such feature")), False),
        (raises(ModelFailedError("margins")), False),
    ],
)
def test_only_what_may_pass_is_tried_again(failing: Callable[[], object], passes: bool) -> None:
    with pytest.raises(BaseException) as caught:  # noqa: PT011  # of any kind
        failing()
    assert may_pass(caught.value) is passes
