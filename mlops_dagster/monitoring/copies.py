"""Erasure of rows from copies outside the log, and removal of the files that were drawn from those copies."""

import io
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from mlops_dagster.predictions import Choice, Found
from mlops_dagster.storage.files import Files

if TYPE_CHECKING:
    import pyarrow as pa

_ID, _KEY = "prediction_id", "key"
_HOUR = re.compile(r"\d{4}-\d\d-\d\dT\d\d")
_ONE_HOUR = timedelta(hours=1)


@dataclass(slots=True)
class Copies:
    """The Parquet files of a model, one for an hour or a day, and files drawn from its rows, in some folders.

    A row is chosen if its `prediction_id` is that of a chosen prediction, or its `key` is one of the choice's keys. A
    file in `drawn` (a profile or page that shows a sample, named by its hour, or by the first and the last hour of its
    window) is removed with any row of its hours: it can be drawn anew.
    """

    folders: Sequence[Files]
    drawn: Sequence[Files] = ()
    unsearched: list[str] = field(default_factory=list)
    """Addresses of files that have neither column, so that their rows cannot be matched with a choice."""
    removed: list[str] = field(default_factory=list)
    """Addresses of the drawn files that were removed."""

    def erase(self, choice: Choice, found: Found) -> int:
        """Remove the rows of the choice, whose predictions were `found`, from every file; return their number.

        Safe to repeat. Raises StorageError.
        """
        for files in self.drawn:
            for name in files.names(choice.model):
                if _shows(name, found):
                    files.remove(name)
                    self.removed.append(files.address(name))
        return sum(
            self._erase_from(files, name, choice, found.ids)
            for files in self.folders
            for name in files.names(choice.model)
            if name.endswith(".parquet")
        )

    def _erase_from(self, files: Files, name: str, choice: Choice, ids: Sequence[str]) -> int:
        import pyarrow.compute as pc
        import pyarrow.parquet as pq

        rows = pq.read_table(io.BytesIO(files.read(name)))
        if not {_ID, _KEY} & set(rows.column_names):
            self.unsearched.append(files.address(name))
            return 0
        chosen = _chosen(rows, choice, ids)
        erased = int(pc.sum(chosen).as_py() or 0)
        if erased == rows.num_rows:
            _remove(files, name)
        elif erased:
            left = io.BytesIO()
            pq.write_table(rows.filter(pc.invert(chosen)), left)
            files.put(name, left.getvalue())
        return erased


def _chosen(rows: "pa.Table", choice: Choice, ids: Sequence[str]) -> "pa.ChunkedArray":
    """Return true or false for each row; values stored as text are compared as Python's `repr` writes them."""
    import pyarrow as pa
    import pyarrow.compute as pc

    wanted = {_ID: [*choice.ids, *ids], _KEY: [*choice.keys]}
    chosen = pa.chunked_array([pa.repeat(pa.scalar(value=False), rows.num_rows)])
    for column, values in wanted.items():
        if column in rows.column_names:
            text = pa.array([*values, *map(repr, values)], pa.string())
            chosen = pc.or_(chosen, pc.is_in(rows[column].cast(pa.string()), value_set=text))
    return chosen


def _shows(name: str, found: Found) -> bool:
    """Return whether a file was drawn from a chosen row; true if its name has no hour, for it may have been."""
    hours = [
        datetime.fromisoformat(f"{each}:00").replace(tzinfo=UTC) for each in _HOUR.findall(PurePosixPath(name).name)
    ]
    if not hours:
        return True
    first, end = hours[0], max(hours[-1], hours[0] + _ONE_HOUR)
    return any(first <= hour < end for hour in found.hours)


def _remove(files: Files, name: str) -> None:
    """Remove the file of rows and the file of the reasons next to it."""
    files.remove(name)
    files.remove(f"{name.removesuffix('.parquet')}.json")
