"""The base class of all models that people write or stores keep: policies, specs, cards, schemas."""

from collections.abc import Iterator, Mapping
from typing import Final, TypeVar

from pydantic import BaseModel, ConfigDict, field_validator

Value = TypeVar("Value")

LARGEST: Final = 2**53
"""The largest integer that every reader of JSON reads exactly."""


def exact_integers(value: Value) -> Value:
    """Return `value`; raise ValueError if it holds a whole number that some readers of JSON do not read exactly."""
    if any(abs(number) > LARGEST for number in _integers(value)):
        raise ValueError(f"a whole number is from {-LARGEST} to {LARGEST}")
    return value


STORED: Final = {"stored": True}
"""The validation context for stored schemas: they stay readable, though they may have names that are refused today."""


class StrictModel(BaseModel):
    """An immutable model that refuses unknown fields, and numbers that a store would not give back equal.

    NaN and infinity are refused: as a limit they would mean nothing, and JSON cannot express them.

    >>> class Limit(StrictModel):
    ...     ms: float = 200
    >>> Limit(ms=float("inf"))
    Traceback (most recent call last):
    ...
    pydantic_core._pydantic_core.ValidationError: 1 validation error for Limit
    ms
      Input should be a finite number ...
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    _exact = field_validator("*")(exact_integers)


def _integers(value: object) -> Iterator[int]:
    if isinstance(value, int):
        yield value
    elif isinstance(value, Mapping):
        for each in value.values():
            yield from _integers(each)
    elif isinstance(value, tuple):
        for each in value:
            yield from _integers(each)
