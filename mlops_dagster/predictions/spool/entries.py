"""Entries of the spool, each one row of its file."""

from collections.abc import Iterable
from typing import NamedTuple
from zlib import crc32

import orjson

from mlops_dagster.predictions.encoded import LabelEntry, LateEntry, PredictionEntry, ShedEntry

SHED = b'{"shed":'
"""The beginning of the body of a count of shed scorings, which is for the rollups only."""

_LATE = b'{"late":'

COUNTS = (SHED, _LATE)
"""The beginnings of bodies that the rollups count and that are not rows of the log; all have the same length."""


class Entry(NamedTuple):
    """One row of the spool. `sequence` numbers a process's records of a model; labels and counts have none."""

    number: int
    sequence: int | None
    body: bytes

    @property
    def is_shed(self) -> bool:
        return self.sequence is None and self.body.startswith(SHED)

    @property
    def is_late(self) -> bool:
        return self.sequence is None and self.body.startswith(_LATE)

    @property
    def is_label(self) -> bool:
        return self.sequence is None and not self.body.startswith(COUNTS)

    def prediction(self) -> PredictionEntry:
        entry: PredictionEntry = orjson.loads(self.body)
        return entry

    def label(self) -> LabelEntry:
        entry: LabelEntry = orjson.loads(self.body)
        return entry

    def late(self) -> LateEntry:
        entry: LateEntry = orjson.loads(self.body)
        return entry

    def shed(self) -> ShedEntry:
        entry: ShedEntry = orjson.loads(self.body)
        return entry


def rows_of(bodies: Iterable[bytes]) -> list[tuple[bytes, int]]:
    """Pair each body with its checksum, since the pages of SQLite have none."""
    return [(body, crc32(body)) for body in bodies]
