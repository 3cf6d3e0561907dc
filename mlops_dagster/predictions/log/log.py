"""The prediction log: append-only Delta Lake tables that any engine reads."""

import logging
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from mlops_dagster.clock import in_utc
from mlops_dagster.errors import (
    AlreadyRunningError,
    InvalidInputError,
    MlopsError,
    PredictionNotFoundError,
)
from mlops_dagster.predictions.engine.embedded import EmbeddedEngine
from mlops_dagster.predictions.engine.engine import Engine, Statement
from mlops_dagster.predictions.log.location import LogLocation
from mlops_dagster.predictions.log.maintenance import maintaining
from mlops_dagster.predictions.log.names import ERASURES_TABLE, LABELS_TABLE, predictions_table
from mlops_dagster.predictions.log.statements.answers import (
    AnswerCounts,
    Part,
    answer_columns,
    count_answers,
    counted_parts,
)
from mlops_dagster.predictions.log.statements.labelled import ROW_COLUMNS, Window, labelled
from mlops_dagster.predictions.log.statements.places import PLACE_COLUMNS, count_places
from mlops_dagster.predictions.log.statements.sources import Sources, known_from
from mlops_dagster.predictions.log.writer import LogWriter
from mlops_dagster.predictions.records import ANSWERED, Role
from mlops_dagster.predictions.spool.locking import shipping_lock
from mlops_dagster.predictions.spool.spool import Spool
from mlops_dagster.tasks import Calibration, Places

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.dataset as pads


logger = logging.getLogger(__name__)

_ROWS_AT_ONCE = 50_000
_ORDER = ("event_time", "process", "sequence")

_IN_ORDER = "SELECT {columns}, label, known_at FROM labelled ORDER BY event_time, process, sequence"
_LABELS_OF_ID = "SELECT request FROM labels WHERE model = ? AND id = ?"
_COUNT_LABELLED = """
SELECT count(*) AS n FROM (SELECT id, request FROM labels WHERE model = ? GROUP BY id, request) AS labelled
"""
_LABELS_BY_DAY = """
SELECT CAST(event_time AS DATE) AS day, count(*) AS n FROM labels WHERE model = ? AND event_time >= ?
GROUP BY CAST(event_time AS DATE)
"""


class _Answer(NamedTuple):
    """The columns that decide which of the rows that share an id holds it."""

    request: str
    event_time: datetime
    received_at: datetime
    latency_ms: float
    prediction: str | None
    process: str
    sequence: int

    @property
    def precedence(self) -> tuple[bool, datetime, str, int]:
        """A sort key that puts rows answered earlier first, and rows without an answer last."""
        answered_at = self.received_at + timedelta(milliseconds=self.latency_ms)
        return self.prediction is None, answered_at, self.process, self.sequence


_ANSWERS_OF_ID = """
SELECT request, event_time, received_at, latency_ms, prediction, process, sequence FROM rows
WHERE id = ? AND array_contains(?, role)
"""


class PredictionLog:
    """A log of tables: `predictions/<model>`, by the date of the event, and `labels`, by the date each became known."""

    def __init__(self, address: str | Path, engine: Engine | None = None) -> None:
        self.place = LogLocation(address)
        self._engine = engine or EmbeddedEngine()
        self._sources = Sources(self.place)
        self.writer = LogWriter(self.place)
        self._shipping = threading.Lock()

    def ship(self, spool: Spool) -> int:
        """Append the spool's entries, each exactly once, and free those that every other consumer has too.

        Returns how many entries (predictions and labels) this call appended. Several processes may ship at once.
        Entries that a table does not take are held back (`spool.held`) and tried again; all other tables go on.

        Raises StorageError if the log cannot be written now, within some minutes even if S3 does not answer: no entry
        is lost, and the next call goes on.
        """
        with self._shipping, shipping_lock(spool.path, alone=False):
            return self.writer.take_over(spool)

    def tidy(self) -> None:
        """Merge small files and remove old ones, in every table; to be called every few minutes, by any process.

        Does nothing while another process maintains the log. Raises StorageError, after all other tables are tidied.
        Versions of the last week can still be read (time travel).
        """
        from mlops_dagster.predictions.log.delta import upkeep

        with suppress(AlreadyRunningError), maintaining(self.place):
            failures = []
            for name in self._tables():
                try:
                    upkeep.tidy(self.place.table(name))
                except MlopsError as error:
                    failures.append(error)
            if failures:
                raise failures[0]

    def read(
        self,
        model: str,
        since: datetime,
        until: datetime,
        columns: Sequence[str] | None = None,
        roles: Sequence[Role] = ANSWERED,
    ) -> "pa.Table":
        """Return rows with since <= event_time < until, in the order of event time; an empty table if there are none.

        A feature column that never had a value is all null; any other column that does not exist raises
        InvalidInputError.
        """
        import pyarrow as pa

        from mlops_dagster.predictions.log.delta import tables as delta

        with self.prediction_rows(model, first=in_utc(since).date(), last=in_utc(until).date()) as dataset:
            wanted = list(dataset.schema.names if columns is None else columns)
            absent = [name for name in wanted if name not in dataset.schema.names]
            if unknown := [name for name in absent if not name.startswith("feature_")]:
                raise InvalidInputError(f"the log of {model} has no columns {unknown}; it has {dataset.schema.names}")
            rows = dataset.to_table(list({*wanted, *_ORDER} - {*absent}), filter=delta.window(since, until, roles))
        for name in absent:
            rows = rows.append_column(name, pa.nulls(rows.num_rows))
        return rows.sort_by([(name, "ascending") for name in _ORDER]).select(wanted)

    def batches(
        self,
        model: str,
        since: datetime,
        until: datetime,
        roles: Sequence[Role] = ANSWERED,
        wanted: Callable[[str], bool] = lambda _column: True,
    ) -> "Iterator[pa.RecordBatch]":
        """Yield the rows of `read` in pieces, in no order, if there are too many for memory. `wanted` picks columns."""
        from mlops_dagster.predictions.log.delta import tables as delta

        days = {"first": in_utc(since).date(), "last": in_utc(until).date()}
        with self.prediction_rows(model, **days) as dataset:
            for batch in dataset.to_batches(
                columns=[name for name in dataset.schema.names if wanted(name)],
                filter=delta.window(since, until, roles),
                batch_size=_ROWS_AT_ONCE,
                batch_readahead=1,
                fragment_readahead=1,
                use_threads=False,  # threads would queue up to a gigabyte of rows ahead of a slower reader
            ):
                if batch.num_rows > 0:
                    yield batch

    def labelled(self, model: str, since: datetime, until: datetime, roles: Sequence[Role] = ANSWERED) -> "pa.Table":
        """Return the rows of `read` with `model`, their latest `label` and its time (`labelled_at`): null without one.

        Of rows that share an id, the one that holds the id has the label. All rows are in memory: see `answers`.
        """
        import pyarrow as pa

        window = Window(model, since, until, roles)
        with self.prediction_rows(model, **window.days) as dataset:
            schema = dataset.schema
        columns = {f"c{number}": name for number, name in enumerate(schema.names)}
        then = _IN_ORDER.format(columns=", ".join(columns))
        rows = self._sources.rows(window, {**ROW_COLUMNS, **{name: name for name in _ORDER}, **columns})
        own = list(dict.fromkeys((*_ORDER, *columns, "label", "known_at")))
        found = self._engine.run(labelled(window, rows, self._sources.labels(since), own, then))
        ends = [pa.field("label", pa.string()), pa.field("labelled_at", schema.field("event_time").type)]
        table = found.rename_columns([*schema.names, "label", "labelled_at"]).cast(pa.schema([*schema, *ends]))
        return table.add_column(0, "model", pa.repeat(model, table.num_rows))

    def answers(
        self,
        model: str,
        since: datetime,
        until: datetime,
        parts: Iterable[Part] = (),
        roles: Sequence[Role] = ANSWERED,
    ) -> AnswerCounts:
        """Count the rows of `labelled`, of which few are in memory at once. Raises StorageError."""
        window = Window(model, since, until, roles)
        found = counted_parts(self._sources.schema(model), parts)
        rows = self._sources.rows(window, answer_columns(found))
        return count_answers(self._engine, window, rows, self._sources.labels(since), found)

    def places(self, model: str, version: str, since: datetime, until: datetime, calibration: Calibration) -> Places:
        """Count a version's answers as champion in each bracket of scores, labelled or not. Raises StorageError."""
        window = Window(model, since, until, ("champion",))
        return count_places(self._engine, window, self._sources.rows(window, PLACE_COLUMNS), version, calibration)

    def get(self, prediction_id: str, model: str | None = None) -> dict[str, object]:
        """Return the answered row of a prediction, with the columns of `labelled`. Raises PredictionNotFoundError.

        Ids are per model: without `model`, the first model that has the id is taken. Of rows that share an id, it is
        the row that holds the id: the one with a label, or else the one answered first.
        """
        for candidate in [model] if model is not None else self.models():
            if (row := self._holder(candidate, prediction_id)) is not None:
                return row
        raise PredictionNotFoundError(
            f"no prediction {prediction_id!r} in the log at {self.place.address}; "
            "one made in the last seconds may not be there yet"
        )

    def _holder(self, model: str, prediction_id: str) -> dict[str, object] | None:
        """Return the row of the model that holds an id, with its label; None if the model has no such id."""
        names = {name: name for name in _Answer._fields} | {"id": "prediction_id", "role": "role"}
        source = self._sources.predictions(model, names)
        found = self._engine.run(
            Statement(_ANSWERS_OF_ID, {"rows": source}, [prediction_id, list(ANSWERED)])
        ).to_pylist()
        if not found:
            return None
        rows = [_Answer(**row) for row in found]
        labels = self._sources.labels(min(row.event_time for row in rows))
        labels_of_id = self._engine.run(Statement(_LABELS_OF_ID, {"labels": labels}, [model, prediction_id]))
        requests = set(labels_of_id["request"].to_pylist())
        holder = min(rows, key=lambda row: (row.request not in requests, *row.precedence))
        at = holder.event_time
        its: list[dict[str, object]] = self.labelled(model, at, at + timedelta(microseconds=1)).to_pylist()
        key = prediction_id, holder.request
        return next(row for row in its if (row["prediction_id"], row["request"]) == key)

    def count(self, model: str, roles: Sequence[Role] = ANSWERED) -> int:
        """Return how many rows the log holds: by default, one for every row that a client sent."""
        import pyarrow.dataset as pads

        with self.prediction_rows(model) as dataset:
            return int(dataset.count_rows(filter=pads.field("role").isin(list(roles))))

    def count_between(self, model: str, since: datetime, until: datetime, roles: Sequence[Role] = ANSWERED) -> int:
        """Return how many rows `read` would return."""
        from mlops_dagster.predictions.log.delta import tables as delta

        with self.prediction_rows(model, first=in_utc(since).date(), last=in_utc(until).date()) as dataset:
            return int(dataset.count_rows(filter=delta.window(since, until, roles)))

    def count_labelled(self, model: str) -> int:
        """Return how many predictions have a label."""
        found = self._engine.run(Statement(_COUNT_LABELLED, {"labels": self._sources.labels(None)}, [model]))
        return int(found["n"][0].as_py())

    def label_counts(self, model: str, since: datetime) -> dict[date, int]:
        """Return how many labels the log has of the predictions of each day since `since`; every correction counts too.

        A report of a day is out of date when this number has changed since. Only two columns are read.
        """
        statement = Statement(_LABELS_BY_DAY, {"labels": self._sources.labels(since)}, [model, in_utc(since)])
        return {row["day"]: row["n"] for row in self._engine.run(statement).to_pylist()}

    def models(self) -> list[str]:
        """Return every model that has a table."""
        return self.place.models()

    @contextmanager
    def prediction_rows(
        self, model: str, *, first: date | None = None, last: date | None = None
    ) -> "Iterator[pads.Dataset]":
        """Open the model's table, or its days from `first` to `last`; errors are StorageError or CorruptedError."""
        from mlops_dagster.predictions.log import columns
        from mlops_dagster.predictions.log.delta import tables as delta
        from mlops_dagster.predictions.log.delta.errors import storage_errors

        at = self.place.table(predictions_table(model))
        with storage_errors("read", at):
            yield delta.dataset(at, columns.PREDICTIONS, first=first, last=last)

    def _tables(self) -> list[str]:
        return [*(predictions_table(model) for model in self.models()), LABELS_TABLE, ERASURES_TABLE]

    @contextmanager
    def label_rows(self, *, since: datetime | None = None) -> "Iterator[pads.Dataset]":
        """Open the labels of the predictions made since `since`, or all labels."""
        from mlops_dagster.predictions.log import columns
        from mlops_dagster.predictions.log.delta import tables as delta
        from mlops_dagster.predictions.log.delta.errors import storage_errors

        at = self.place.table(LABELS_TABLE)
        with storage_errors("read", at):
            yield delta.dataset(at, columns.LABELS, first=known_from(since))
