"""One line of the spool."""

from typing import NamedTuple

import orjson

from mlops_dagster.predictions.records import LabelEntry, PredictionEntry, ShedEntry

_SHED = b'{"shed":'


class Entry(NamedTuple):
    """One line of the spool. `sequence` numbers the predictions of a process; labels and shed rows have none."""

    number: int
    sequence: int | None
    body: bytes

    @property
    def is_shed(self) -> bool:
        return self.sequence is None and self.body.startswith(_SHED)

    def prediction(self) -> PredictionEntry:
        entry: PredictionEntry = orjson.loads(self.body)
        return entry

    def label(self) -> LabelEntry:
        entry: LabelEntry = orjson.loads(self.body)
        return entry

    def shed(self) -> ShedEntry:
        entry: ShedEntry = orjson.loads(self.body)
        return entry
