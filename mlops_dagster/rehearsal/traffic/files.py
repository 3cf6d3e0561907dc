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


def read_table(file: Path, schema: ModelSchema, *, event_time: str = EVENT_TIME, label: str = LABEL) -> pd.DataFrame:
    """Return the table in a `.parquet`, `.csv` or `.csv.gz` file; raises InvalidInputError if it cannot be read.

    `event_time` and `label` are the names of these columns in the file. In CSV an empty field is null, and texts
    stay as they are written: `NA` is a text, `007` keeps its zeros.
    """
    import pandas as pd

    name = file.name.lower()
    try:
        if name.endswith(".parquet"):
            return _named(pd.read_parquet(file), event_time, label)
        if not name.endswith((".csv", ".csv.gz")):
            raise InvalidInputError(f"{str(file)!r} is neither .parquet nor .csv; write the table as one of these")
        text = [each.name for each in schema.features if each.kind == "categorical"]
        text += [event_time, ID, KEY, KNOWN_AT, label]
        numeric = {each.name: _NO_NUMBER for each in schema.features if each.kind == "numeric"}
        found = pd.read_csv(
            file,
            dtype=dict.fromkeys(text, "object"),
            keep_default_na=False,
            na_values={**{each: [""] for each in text}, **numeric},
        )
        return _named(found, event_time, label)
    except InvalidInputError:
        raise
    except OSError as error:
        raise InvalidInputError(f"cannot read {str(file)!r} ({error.strerror or error})") from error
    except Exception as error:  # the parsers of pandas and Arrow raise many kinds
        raise InvalidInputError(f"{str(file)!r} cannot be read as a table: {error}") from error


def _named(frame: pd.DataFrame, event_time: str, label: str) -> pd.DataFrame:
    names = {event_time: EVENT_TIME, label: LABEL}
    if missing := [name for name, ours in names.items() if name != ours and name not in frame]:
        raise InvalidInputError(f"the columns {missing} are missing among {[str(name) for name in frame.columns]}")
    return frame.rename(columns=names)
