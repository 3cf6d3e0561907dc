"""Copies of rows beside the log, in quarantine and as scored days: what an erasure takes out of them."""

import io
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from mlops_dagster.monitoring.files import Files
from mlops_dagster.predictions import Choice

if TYPE_CHECKING:
    import pyarrow as pa

_ID, _KEY = "prediction_id", "key"


@dataclass(slots=True)
class Copies:
    """The Parquet files of a model, one for an hour or a day, in some folders.

    A row is one of those chosen if its `prediction_id` is one of theirs, or its `key` is that of the choice; of old
    days, whole files are.
    """

    folders: Sequence[Files]
    unsearched: list[str] = field(default_factory=list)
    """Where the rows of files are that have neither column, so that nobody knows whose they are."""

    def erase(self, choice: Choice, ids: Sequence[str]) -> int:
        """Take the rows of the choice, whose predictions have `ids`, out of every file; returns how many there were.

        Safe to repeat. Raises StorageError.
        """
        return sum(
            self._erase_from(files, name, choice, ids)
            for files in self.folders
            for name in files.names(choice.model)
            if name.endswith(".parquet")
        )

    def _erase_from(self, files: Files, name: str, choice: Choice, ids: Sequence[str]) -> int:
        import pyarrow.compute as pc
        import pyarrow.parquet as pq

        if choice.before is not None and _day(name) >= choice.before:
            return 0
        rows = pq.read_table(io.BytesIO(files.read(name)))
        if choice.before is not None:
            _remove(files, name)
            return int(rows.num_rows)
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
    """True or false of every row. What was stored as text is as Python writes it."""
    import pyarrow as pa
    import pyarrow.compute as pc

    wanted = {_ID: [*(choice.ids or ids)], _KEY: [] if choice.key is None else [choice.key]}
    chosen = pa.chunked_array([pa.repeat(pa.scalar(value=False), rows.num_rows)])
    for column, values in wanted.items():
        if column in rows.column_names:
            text = pa.array([*values, *map(repr, values)], pa.string())
            chosen = pc.or_(chosen, pc.is_in(rows[column].cast(pa.string()), value_set=text))
    return chosen


def _day(name: str) -> date:
    return date.fromisoformat(PurePosixPath(name).name[:10])


def _remove(files: Files, name: str) -> None:
    """The rows, and the reasons beside them."""
    files.remove(name)
    files.remove(f"{name.removesuffix('.parquet')}.json")
