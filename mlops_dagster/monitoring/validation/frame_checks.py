"""Checks of frames that Great Expectations would misread, or report unclearly."""

from collections.abc import Collection
from numbers import Real
from typing import TYPE_CHECKING

from mlops_dagster.frames.conform import as_far_as_possible

if TYPE_CHECKING:
    import pandas as pd
    from great_expectations.expectations.expectation import Expectation


def names_given_twice(frame: "pd.DataFrame") -> tuple[str, ...]:
    """Return a reason for each name that several columns have."""
    twice = sorted({str(name) for name in frame.columns[frame.columns.duplicated()]})
    return tuple(f"{name}: there are several columns of this name" for name in twice)


def others_than_numbers(frame: "pd.DataFrame", asked: "Collection[Expectation]") -> tuple[str, ...]:
    """Return a reason for each column that should hold numbers, and holds numbers among other values.

    >>> import pandas as pd
    >>> from great_expectations.expectations.core import ExpectColumnValuesToBeOfType
    >>> asked = [ExpectColumnValuesToBeOfType(column="delay", type_="float64")]
    >>> others_than_numbers(pd.DataFrame({"delay": [1.0, None, "n/a"]}), asked)
    ('delay: 1 of 2 values are not numbers but str',)
    """
    reasons = []
    for name in _asked_to_be("float64", frame, asked):
        if frame[name].dtype == object:
            values = frame[name].dropna().tolist()
            others = [value for value in values if not isinstance(value, Real)]
            if 0 < len(others) < len(values):
                types = ", ".join(sorted({type(value).__name__ for value in others}))
                reasons.append(f"{name}: {len(others)} of {len(values)} values are not numbers but {types}")
    return tuple(reasons)


def as_asked(frame: "pd.DataFrame", asked: "Collection[Expectation]") -> "pd.DataFrame":
    """Return the batch in the expected types, as far as possible: a source with integers for floats is not broken."""
    return as_far_as_possible(frame, _asked_to_be("float64", frame, asked), _asked_to_be("str", frame, asked))


def _asked_to_be(type_: str, frame: "pd.DataFrame", asked: "Collection[Expectation]") -> list[str]:
    """Return the columns that the batch has and that are expected to be of this type."""
    of_type = (each.configuration for each in asked if each.expectation_type == "expect_column_values_to_be_of_type")
    return sorted({each.kwargs["column"] for each in of_type if each.kwargs["type_"] == type_} & set(frame.columns))
