"""Tables of a history in files: Parquet or CSV."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from mlops_dagster.errors import InvalidInputError
from mlops_dagster.rehearsal.traffic.history import EVENT_TIME, ID, KEY, KNOWN_AT, LABEL
from mlops_dagster.schema import ModelSchema

if TYPE_CHECKING:
    import pandas as pd

_NO_NUMBER = ["", "NaN", "nan", "NA", "null", "None"]


def read_table(file: Path, schema: ModelSchema) -> pd.DataFrame:
    """Return the table in a `.parquet` or `.csv` file (also `.csv.gz`); raises InvalidInputError if it cannot be read.

    In CSV an empty field is null. Texts stay as they are written: `NA` is a text, `007` keeps its zeros.
    """
    import pandas as pd

    name = file.name.lower()
    try:
        if name.endswith(".parquet"):
            return pd.read_parquet(file)
        if not name.endswith((".csv", ".csv.gz")):
            raise InvalidInputError(f"{str(file)!r} is neither .parquet nor .csv; write the table as one of these")
        text = [each.name for each in schema.features if each.kind == "categorical"]
        text += [EVENT_TIME, ID, KEY, KNOWN_AT, LABEL]
        numeric = {each.name: _NO_NUMBER for each in schema.features if each.kind == "numeric"}
        return pd.read_csv(
            file,
            dtype=dict.fromkeys(text, "object"),
            keep_default_na=False,
            na_values={**{each: [""] for each in text}, **numeric},
        )
    except InvalidInputError:
        raise
    except OSError as error:
        raise InvalidInputError(f"cannot read {str(file)!r} ({error.strerror or error})") from error
    except Exception as error:  # the parsers of pandas and Arrow raise many kinds
        raise InvalidInputError(f"{str(file)!r} cannot be read as a table: {error}") from error
