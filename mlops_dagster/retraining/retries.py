"""Which failures of a retraining may be gone in some minutes, and which are there until somebody mends them."""

from collections.abc import Iterator
from json import JSONDecodeError
from typing import Final

from mlops_dagster.errors import (
    InvalidInputError,
    MlopsError,
    ModelFailedError,
    ModelTimeoutError,
    RefusedError,
    TrainingDataError,
)

_PASSES: Final = (OSError, ModelTimeoutError, JSONDecodeError, MemoryError)
"""Networks, disks and servers come back; half an answer of theirs is no JSON."""

_OURS: Final = (InvalidInputError, ModelFailedError, RefusedError, TrainingDataError)
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
"""What the code, the configuration or the rows lack, they lack the next time as well."""


def may_pass(error: BaseException) -> bool:
    """Return whether to try again. An error that comes of a network's or a disk's may pass, whatever its own class.

    >>> may_pass(ConnectionResetError()), may_pass(NameError("name 'pd' is not defined")), may_pass(RuntimeError())
    (True, False, True)
    """
    if any(isinstance(each, _PASSES) for each in chain_of(error)):
        return True
    return not isinstance(error, _OURS if isinstance(error, MlopsError) else _FOREIGN)


def chain_of(error: BaseException | None) -> Iterator[BaseException]:
    """Yield the error and what it came of, as a traceback shows them."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        yield error
        seen.add(id(error))
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
