"""The failures of a retraining that may pass within minutes, as opposed to those that a person must mend."""

from collections.abc import Iterator
from json import JSONDecodeError
from typing import Final

from mlops_dagster.errors import (
    InvalidInputError,
    MissingExtraError,
    MlopsError,
    ModelFailedError,
    ModelTimeoutError,
    RefusedError,
    TrainingDataError,
)

_PASSES: Final = (OSError, ModelTimeoutError, JSONDecodeError, MemoryError)
"""Errors of networks, disks and servers, which recover; half a response of a server is invalid JSON."""

_OURS: Final = (InvalidInputError, MissingExtraError, ModelFailedError, RefusedError, TrainingDataError)
_FOREIGN: Final = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    ImportError,
    LookupError,
    NameError,
    NotImplementedError,
    SyntaxError,
    TypeError,
    ValueError,
)
"""Errors of code, configuration or rows: they would fail again the next time."""


def may_pass(error: BaseException) -> bool:
    """Return whether to try again. An error caused by a network or a disk may pass, even if its class is another.

    >>> may_pass(ConnectionResetError()), may_pass(NameError("name 'pd' is not defined")), may_pass(RuntimeError())
    (True, False, True)
    """
    if any(isinstance(each, _PASSES) for each in chain_of(error)):
        return True
    return not isinstance(error, _OURS if isinstance(error, MlopsError) else _FOREIGN)


def chain_of(error: BaseException | None) -> Iterator[BaseException]:
    """Yield the error and its causes, as a traceback shows them."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        yield error
        seen.add(id(error))
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
