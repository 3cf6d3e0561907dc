"""Frames that Great Expectations would not understand, or not tell of plainly."""

from collections.abc import Collection
from numbers import Real
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd
    from great_expectations.expectations.expectation import Expectation

_EXACT = 2**53
"""From here on a float64 stands for several integers."""


def names_given_twice(frame: "pd.DataFrame") -> tuple[str, ...]:
    """A reason for each name that several columns have."""
    twice = sorted({str(name) for name in frame.columns[frame.columns.duplicated()]})
    return tuple(f"{name}: there are several columns of this name" for name in twice)


def others_than_numbers(frame: "pd.DataFrame", asked: "Collection[Expectation]") -> tuple[str, ...]:
    """A reason for each column that is asked for numbers, and has some, among other values.

    >>> import pandas as pd
    >>> from great_expectations.expectations.core import ExpectColumnValuesToBeOfType
    >>> asked = [ExpectColumnValuesToBeOfType(column="delay", type_="float64")]
    >>> others_than_numbers(pd.DataFrame({"delay": [1.0, None, "n/a"]}), asked)
    ("delay: 1 of 2 values are no numbers (such as 'n/a')",)
    """
    reasons = []
    for name in _numeric(frame, asked):
        if frame[name].dtype == object:
            values = frame[name].dropna().tolist()
            others = [value for value in values if not isinstance(value, Real)]
            if 0 < len(others) < len(values):
                such_as = ", ".join(sorted({repr(value) for value in others})[:3])
                reasons.append(f"{name}: {len(others)} of {len(values)} values are no numbers (such as {such_as})")
    return tuple(reasons)


def with_exact_numbers(frame: "pd.DataFrame", asked: "Collection[Expectation]") -> "pd.DataFrame":
    """The batch with integers as float64, where that is what a column is asked to be and all of them are the same then.

    So they are to an estimator, and a source whose numbers have no fraction today is not broken. From 2**53 on they
    are not, and stay as they are.

    >>> import pandas as pd
    >>> from great_expectations.expectations.core import ExpectColumnValuesToBeOfType
    >>> asked = [ExpectColumnValuesToBeOfType(column=name, type_="float64") for name in ("small", "large")]
    >>> with_exact_numbers(pd.DataFrame({"small": [1], "large": [2**60]}), asked).dtypes.astype(str).to_dict()
    {'small': 'float64', 'large': 'int64'}
    """
    import numpy as np
    import pandas as pd

    exact = {
        name: frame[name].to_numpy(dtype=np.float64, na_value=np.nan)
        for name in _numeric(frame, asked)
        if pd.api.types.is_integer_dtype(frame[name].dtype)
        and frame[name].dropna().between(-_EXACT, _EXACT, inclusive="neither").all()
    }
    return frame.assign(**exact) if exact else frame


def _numeric(frame: "pd.DataFrame", asked: "Collection[Expectation]") -> list[str]:
    """The columns that are there and asked to be float64."""
    of_type = (each.configuration for each in asked if each.expectation_type == "expect_column_values_to_be_of_type")
    return sorted({each.kwargs["column"] for each in of_type if each.kwargs["type_"] == "float64"} & set(frame.columns))
