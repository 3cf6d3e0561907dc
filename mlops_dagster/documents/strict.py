"""The base of every model that people write or stores keep: policies, specs, cards, schemas."""

from collections.abc import Iterator, Mapping
from typing import Final, TypeVar

from pydantic import BaseModel, ConfigDict, field_validator

Value = TypeVar("Value")

LARGEST: Final = 2**53
"""Up to here every reader of JSON has the same integer."""


def exact_integers(value: Value) -> Value:
    """Return `value`; raise ValueError if it holds a whole number that not every reader of JSON has exactly."""
    if any(abs(number) > LARGEST for number in _integers(value)):
        raise ValueError(f"a whole number is from {-LARGEST} to {LARGEST}")
    return value


class StrictModel(BaseModel):
    """A model that never changes, takes no field it does not know, and only numbers that a store gives back.

    NaN and infinity are refused: no limit means anything against them, and JSON has no word for them.

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
