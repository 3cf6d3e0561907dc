"""Rows as Parquet, and as text where Arrow cannot store them."""

import io
from typing import TYPE_CHECKING

from mlops_dagster.errors import InvalidInputError

if TYPE_CHECKING:
    import pandas as pd


def as_parquet(frame: "pd.DataFrame", *, row_group_size: int | None = None) -> bytes:
    """Return the rows as the bytes of a Parquet file.

    Raises InvalidInputError for rows that Arrow cannot store: a column of several types, two columns of one name.
    """
    import pyarrow as pa

    written = io.BytesIO()
    try:
        frame.to_parquet(written, index=False, row_group_size=row_group_size)
    except (ValueError, TypeError, OverflowError, pa.ArrowException) as error:
        # Of the texts in the error, pandas' names the column, and Arrow's quotes a value, which must not be shown.
        which = next((each for each in map(str, error.args) if each.startswith("Conversion failed for column ")), "")
        why = which or f"{type(error).__name__}: a column has values of several types, or two have one name"
        raise InvalidInputError(f"Arrow cannot store the rows: {why}") from None
    return written.getvalue()


def as_text(frame: "pd.DataFrame") -> "pd.DataFrame":
    """Return the rows with values as Python writes them, so that 7 and '7' differ; columns of one name get numbers.

    >>> import pandas as pd
    >>> as_text(pd.DataFrame([[7, "7"]], columns=["a", "a"])).to_dict("records")
    [{'a': '7', 'a (2)': "'7'"}]
    """
    text = frame.map(repr)
    text.columns = _numbered([str(name) for name in frame.columns])
    return text


def _numbered(names: list[str]) -> list[str]:
    earlier = (names[:place].count(name) for place, name in enumerate(names))
    return [f"{name} ({count + 1})" if count else name for name, count in zip(names, earlier, strict=True)]
