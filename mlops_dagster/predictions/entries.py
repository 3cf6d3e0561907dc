"""One line of the spool."""

from typing import NamedTuple

import orjson

from mlops_dagster.predictions.records import LabelEntry, PredictionEntry


class Entry(NamedTuple):
    """One line of the spool. `sequence` numbers the predictions of a process; a label has none."""

    number: int
    sequence: int | None
    body: bytes

    def prediction(self) -> PredictionEntry:
        entry: PredictionEntry = orjson.loads(self.body)
        return entry

    def label(self) -> LabelEntry:
        entry: LabelEntry = orjson.loads(self.body)
        return entry
