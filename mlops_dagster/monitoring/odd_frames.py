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
    ('delay: 1 of 2 values are no numbers but str',)
    """
    reasons = []
    for name in numbers_asked(frame, asked):
        if frame[name].dtype == object:
            values = frame[name].dropna().tolist()
            others = [value for value in values if not isinstance(value, Real)]
            if 0 < len(others) < len(values):
                types = ", ".join(sorted({type(value).__name__ for value in others}))
                reasons.append(f"{name}: {len(others)} of {len(values)} values are no numbers but {types}")
    return tuple(reasons)


def with_exact_numbers(frame: "pd.DataFrame", names: Collection[str]) -> "pd.DataFrame":
    """The batch with these columns as float64, where they are numbers and all of them are the same then.

    So they are to an estimator, and a source whose numbers have no fraction today, or fewer digits, is not broken.
    Integers from 2**53 on are not the same, and stay as they are.

    >>> import pandas as pd
    >>> frame = pd.DataFrame({"small": [1], "large": [2**60]}).assign(short=pd.Series([0.5], dtype="float32"))
    >>> with_exact_numbers(frame, frame.columns).dtypes.astype(str).to_dict()
    {'small': 'float64', 'large': 'int64', 'short': 'float64'}
    """
    import numpy as np

    once = frame.columns[~frame.columns.duplicated(keep=False)]
    exact = {
        name: frame[name].to_numpy(dtype=np.float64, na_value=np.nan)
        for name in sorted(set(names) & set(once))
        if _is_exact(frame[name])
    }
    return frame.assign(**exact) if exact else frame


def _is_exact(values: "pd.Series[float]") -> bool:
    import numpy as np
    import pandas as pd

    if pd.api.types.is_float_dtype(values.dtype):
        return values.dtype not in (np.float64, np.longdouble)
    return pd.api.types.is_integer_dtype(values.dtype) and bool(
        values.dropna().between(-_EXACT, _EXACT, inclusive="neither").all()
    )


def numbers_asked(frame: "pd.DataFrame", asked: "Collection[Expectation]") -> list[str]:
    """The columns that are there and asked to be float64."""
    of_type = (each.configuration for each in asked if each.expectation_type == "expect_column_values_to_be_of_type")
    return sorted({each.kwargs["column"] for each in of_type if each.kwargs["type_"] == "float64"} & set(frame.columns))
