"""Columns of a team's table converted for the data plane: numbers, texts, and times with a zone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlops_dagster.documents.texts import counted
from mlops_dagster.errors import InvalidInputError
from mlops_dagster.frames.values import text_of

if TYPE_CHECKING:
    import pandas as pd

_ZONE = r"(?:Z|z|[+-]\d{2}:?\d{2})$"


def refuse_twice(table: str, frame: pd.DataFrame) -> None:
    """Raise InvalidInputError if two columns have one name."""
    twice = sorted({str(name) for name in frame.columns[frame.columns.duplicated()]})
    if twice:
        raise InvalidInputError(f"{table}: there are several columns called {twice}; rename or drop them")


def numbers(table: str, frame: pd.DataFrame, name: str) -> pd.Series[float]:
    """Return the column as float64, NaN where it is null; raises InvalidInputError unless values are finite numbers."""
    import numpy as np
    import pandas as pd

    found = pd.to_numeric(frame[name], errors="coerce")
    broken = found.isna() & frame[name].notna()
    if broken.any():
        raise InvalidInputError(
            f"{table}: {counted(int(broken.sum()), 'values')} of {name!r} cannot be read as numbers, "
            f"such as {frame[name][broken].iloc[0]!r}; write numbers, and nothing where one is not known"
        )
    values = pd.Series(found.to_numpy(dtype=np.float64, na_value=np.nan), index=frame.index)
    infinite = int(np.isinf(values).sum())
    if infinite:
        raise InvalidInputError(
            f"{table}: {counted(infinite, 'values')} of {name!r} may not be infinite; leave that out"
        )
    return values


def texts(table: str, frame: pd.DataFrame, name: str) -> pd.Series[str]:
    """Return the column as str, None where it is null: whole numbers without a point, booleans as True and False.

    Raises InvalidInputError for values that are not texts, whole numbers or booleans.
    """
    import pandas as pd

    column = frame[name].astype(object)
    known = column.notna()
    found = [_text(value) if there else None for value, there in zip(column, known, strict=True)]
    odd = [value for value, text, there in zip(column, found, known, strict=True) if there and text is None]
    if odd:
        raise InvalidInputError(
            f"{table}: {counted(len(odd), 'values')} of {name!r} cannot be taken as text, such as a "
            f"{type(odd[0]).__name__} {odd[0]!r}; "
            "write them as texts"
        )
    return pd.Series(found, index=frame.index, dtype=object)


def _text(value: object) -> str | None:
    try:
        return text_of(value)
    except InvalidInputError:
        return None


def times(table: str, frame: pd.DataFrame, name: str, *, complete: bool = False) -> pd.Series[pd.Timestamp]:
    """Return the column as UTC times; raises InvalidInputError for times without a zone, or for nulls if `complete`."""
    import pandas as pd

    column = frame[name]
    how = f"{table}: {name!r}"
    if isinstance(column.dtype, pd.DatetimeTZDtype):
        found = column.dt.tz_convert("UTC")
    elif pd.api.types.is_datetime64_dtype(column.dtype):
        raise InvalidInputError(f"{how} has times without a time zone; say which, e.g. .dt.tz_localize('UTC')")
    elif column.dropna().map(lambda value: isinstance(value, str)).all():
        found = _parsed(how, column.astype(object))
    else:
        given = column.dropna().map(lambda value: getattr(value, "tzinfo", None) is not None)
        if not given.all():
            raise InvalidInputError(f"{how} is {column.dtype}; write ISO 8601 times with a zone: 2026-03-01T06:00:00Z")
        found = pd.to_datetime(column, utc=True)
    missing = int(found.isna().sum())
    if complete and missing:
        raise InvalidInputError(f"{how} is missing in {missing} of {len(found)} rows; leave these rows out")
    exact: pd.Series[pd.Timestamp] = found.astype("datetime64[ns, UTC]").dt.floor("us")  # the precision of the log
    return exact


def _parsed(how: str, column: pd.Series[str]) -> pd.Series[pd.Timestamp]:
    import pandas as pd

    naive = column.notna() & ~column.str.contains(_ZONE, regex=True, na=False)
    if naive.any():
        raise InvalidInputError(
            f"{how} has {counted(int(naive.sum()), 'times')} without a time zone, such as {column[naive].iloc[0]!r}; "
            "write 2026-03-01T06:00:00Z, or +01:00 for the zone they are of"
        )
    try:
        found: pd.Series[pd.Timestamp] = pd.to_datetime(column, utc=True, format="ISO8601")
    except (ValueError, OverflowError) as error:
        raise InvalidInputError(f"{how} has a value that is not an ISO 8601 time: {error}") from error
    return found
