"""Conversion of pandas columns of any type to the values that models are fitted on, evaluated on and given.

Numbers become float64 with NaN for null, texts objects with None for null, times UTC. Values that could only be
converted by a guess are refused, with a count, an example and the code to write instead.
"""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

import numpy as np
import numpy.typing as npt

from mlops_dagster.errors import InvalidInputError
from mlops_dagster.frames.values import EXACT, shown, text_of

if TYPE_CHECKING:
    import pandas as pd

Series: TypeAlias = "pd.Series[Any]"

_Values = TypeVar("_Values", npt.NDArray[np.float64], npt.NDArray[np.object_])


def numbers(values: Series) -> npt.NDArray[np.float64]:
    """Return a column as float64, null as NaN. A boolean is 0 or 1, a Decimal the nearest float.

    Raises InvalidInputError for texts, times and anything else that is not a number, and for integers that float64
    cannot hold exactly.
    """
    import pandas as pd

    values = _dense(values)
    kind = values.dtype
    if kind == np.float64:
        return values.to_numpy()
    if isinstance(kind, pd.CategoricalDtype):
        return _of_categories(values, numbers)
    if kind.kind in "mM":
        of_it = "total_seconds()" if kind.kind == "m" else "dayofyear" if _is_dates(values) else "hour"
        way = _write(values, f"{{}}.dt.{of_it}")
        raise InvalidInputError(f"{values.name!r} is {kind}, and a numeric feature is a number; {way}, or what matters")
    if kind.kind in "iu":
        too_large = ~values.between(-EXACT, EXACT, inclusive="neither") & values.notna()
        if too_large.any():
            raise _too_large(values, values[too_large].tolist())
    if kind.kind in "iufb":
        return values.to_numpy(dtype=np.float64, na_value=np.nan)
    return _numbers_of_objects(values)


def texts(values: Series) -> npt.NDArray[np.object_]:
    """Return a column as texts by the rule of `text_of`, null as None.

    Raises InvalidInputError for fractions, times, intervals and anything else without a text by that rule.
    """
    import pandas as pd

    values = _dense(values)
    missing = values.isna().to_numpy()
    if isinstance(values.dtype, pd.CategoricalDtype):
        return _of_categories(values, texts)
    objects = np.array(values, dtype=np.object_)
    objects[missing] = None
    if values.dtype == object and pd.api.types.infer_dtype(values, skipna=True) in ("string", "empty"):
        return objects
    known_texts: dict[tuple[type, object], str] = {}
    odd: list[object] = []
    for place in np.flatnonzero(~missing).tolist():
        value = objects[place]
        try:
            key = (type(value), value)
            if key not in known_texts:
                known_texts[key] = text_of(value)
            objects[place] = known_texts[key]
        except (InvalidInputError, TypeError):  # a list has no text, and is not hashable
            odd.append(value)
    if odd:
        raise _no_texts(values, odd)
    return objects


def times(values: Series) -> "pd.Series[pd.Timestamp]":
    """Return a column of times in UTC. Raises InvalidInputError for missing, naive and unreadable ones."""
    import pandas as pd

    of_arrow: Any = getattr(values.dtype, "pyarrow_dtype", None)
    if hasattr(of_arrow, "tz"):
        numpy_kind: Any = f"datetime64[{of_arrow.unit}{f', {of_arrow.tz}' if of_arrow.tz else ''}]"
        values = values.astype(numpy_kind)
    if values.dtype.kind == "M" and not isinstance(values.dtype, pd.DatetimeTZDtype) and not _is_dates(values):
        way = _write(values, "{}.dt.tz_localize('UTC')")
        raise InvalidInputError(f"{values.name!r} has naive times, of no zone; {way}, or the zone that they are of")
    if missing := int(values.isna().sum()):
        raise InvalidInputError(
            f"{values.name!r} is missing in {missing} of {len(values)} rows; give their times, or leave these rows out"
        )
    if isinstance(values.dtype, pd.DatetimeTZDtype):
        return values.dt.tz_convert("UTC")
    wrong = [value for value in values.tolist() if not _is_zoned(value)]
    if wrong:
        of_numbers = ", unit='s'" if any(isinstance(value, Real) for value in wrong) else ""
        as_texts = "{}.astype(str)" if isinstance(values.dtype, pd.PeriodDtype) else "{}"
        way = _write(values, f"pd.to_datetime({as_texts}{of_numbers}, utc=True)")
        raise _odd(values, wrong, "no times with a zone", way)
    naive = [value.astimezone(UTC).replace(tzinfo=None) for value in values]
    in_utc = np.array(naive, dtype="datetime64[us]")
    return pd.Series(in_utc, index=values.index, name=values.name).dt.tz_localize("UTC")


def _numbers_of_objects(values: Series) -> npt.NDArray[np.float64]:
    missing = values.isna().tolist()
    found = np.full(len(values), np.nan)
    odd: list[object] = []
    too_large: list[object] = []
    for place, value in enumerate(values.tolist()):
        if missing[place]:
            continue
        if not isinstance(value, Real | Decimal | np.bool_):
            odd.append(value)
        elif isinstance(value, Integral) and abs(int(value)) >= EXACT:
            too_large.append(value)
        else:
            found[place] = float(value)
    if odd:
        raise _odd(values, odd, "no numbers", _way_to_numbers(values, odd))
    if too_large:
        raise _too_large(values, too_large)
    return found


def _way_to_numbers(values: Series, odd: Sequence[object]) -> str:
    if any(isinstance(value, str) for value in odd):
        return f"{_write(values, 'pd.to_numeric({})')} if they are, or declare the feature categorical"
    return "give a number for each, such as the days since a date, or null where none is known"


def _no_texts(values: Series, odd: Sequence[object]) -> InvalidInputError:
    way = _write(values, "{}.map(str, na_action='ignore')")
    if any(isinstance(value, Real | Decimal) for value in odd):
        way = f"{way}, or declare the feature numeric"
    return _odd(values, odd, "neither texts, whole numbers nor booleans", way)


def _too_large(values: Series, odd: Sequence[object]) -> InvalidInputError:
    way = "declare the feature categorical if it is an id, else write it in larger units"
    return _odd(values, odd, "integers from 2**53 on, which no float64 tells apart", way)


def _odd(values: Series, odd: Sequence[object], what: str, way: str) -> InvalidInputError:
    kinds = ", ".join(sorted({type(value).__name__ for value in odd}))
    said = f"{len(odd)} of {len(values)} values of {values.name!r} are {what} ({kinds})"
    return InvalidInputError(f"{said}, such as {shown(odd[0])}; {way}", told=f"{said}; {way}")


def _is_zoned(value: object) -> bool:
    try:
        return isinstance(value, datetime) and value.tzinfo is not None and value.astimezone(UTC) is not None
    except OverflowError:  # the last hours of the year 9999
        return False


def _is_dates(values: Series) -> bool:
    """Return whether the column has Arrow's type of dates, without a time of day."""
    return str(values.dtype).startswith("date32")


def _dense(values: Series) -> Series:
    import pandas as pd

    return pd.Series(np.asarray(values), name=values.name) if isinstance(values.dtype, pd.SparseDtype) else values


def _of_categories(values: Series, make: Callable[[Series], _Values]) -> _Values:
    """Return the values that `make` gives for the used categories, repeated for each row."""
    import pandas as pd

    codes, rows = np.unique(values.cat.codes.to_numpy(), return_inverse=True)
    known = [values.cat.categories[code] if code >= 0 else None for code in codes.tolist()]
    try:
        return make(pd.Series(known, name=values.name, dtype=object))[rows]
    except InvalidInputError:  # its message counts categories, not rows
        return make(values.astype(object))


def _write(values: Series, expression: str) -> str:
    column = f"frame[{values.name!r}]"
    return f"write `{column} = {expression.format(column)}`"
