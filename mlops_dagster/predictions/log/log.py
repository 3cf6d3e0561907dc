"""The prediction log: append-only Delta Lake tables that any engine reads."""

import logging
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import date, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from mlops_dagster.clock import in_utc
from mlops_dagster.errors import (
    AlreadyRunningError,
    InvalidInputError,
    MlopsError,
    PredictionNotFoundError,
)
from mlops_dagster.predictions.log.labelled import duckdb_with, with_labels
from mlops_dagster.predictions.log.location import LogLocation
from mlops_dagster.predictions.log.maintenance import maintaining
from mlops_dagster.predictions.log.names import ERASURES_TABLE, LABELS_TABLE, predictions_table
from mlops_dagster.predictions.log.writer import LogWriter
from mlops_dagster.predictions.records import ANSWERED, Role
from mlops_dagster.predictions.spool.locking import shipping_lock
from mlops_dagster.predictions.spool.spool import Spool

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.dataset as pads


logger = logging.getLogger(__name__)

_ROWS_AT_ONCE = 50_000
_LABELLED_AT_ONCE = 100_000  # about 200 MB, with the labels that are joined
_ORDER = ("event_time", "process", "sequence")


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


class PredictionLog:
    """A log of tables: `predictions/<model>`, by the date of the event, and `labels`, by the date each became known."""

    def __init__(self, address: str | Path) -> None:
        self.place = LogLocation(address)
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

        Of rows that share an id, the one that holds the id has the label.
        """
        import pyarrow.dataset as pads

        rows = self.read(model, since, until, roles=roles)
        made = pads.field("event_time")
        with self.label_rows(since=in_utc(since)) as labels:
            # Of all that came since then the join would hold a day's labels for each hour that is asked for.
            its = labels.filter(made.is_null() | ((made >= in_utc(since)) & (made < in_utc(until))))
            return with_labels(model, rows, its)

    def labelled_pieces(
        self, model: str, since: datetime, until: datetime, roles: Sequence[Role] = ANSWERED
    ) -> "Iterator[pa.Table]":
        """`labelled`, one stretch of time after the other: for more rows than should be in memory at once.

        One table at least, if only an empty one.
        """
        pieces = max(-(-self.count_between(model, since, until, roles) // _LABELLED_AT_ONCE), 1)
        starts = [since + (until - since) * number / pieces for number in range(pieces)]
        for start, end in pairwise([*starts, until]):
            yield self.labelled(model, start, end, roles)

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
        import pyarrow.dataset as pads

        its = pads.field("prediction_id") == prediction_id
        answers = its & pads.field("role").isin(ANSWERED)
        with self.prediction_rows(model) as dataset:
            found = dataset.to_table(list(_Answer._fields), filter=answers).to_pylist()  # Arrow reads no other columns
        if not found:
            return None
        rows = [_Answer(**row) for row in found]
        with self.label_rows(since=min(row.event_time for row in rows)) as dataset:
            labels = dataset.to_table(filter=its & (pads.field("model") == model))
        labelled = set(labels["request"].to_pylist())
        holder = min(rows, key=lambda row: (row.request not in labelled, *row.precedence))
        day = holder.event_time.date()
        with self.prediction_rows(model, first=day, last=day) as dataset:
            its_row = dataset.to_table(filter=answers & (pads.field("request") == holder.request))
        row: dict[str, object] = with_labels(model, its_row, labels).to_pylist()[0]
        return row

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
        with self.label_rows() as labels, duckdb_with(labels) as connection:
            found = connection.execute(
                "SELECT count(DISTINCT (prediction_id, request)) FROM labels WHERE model = ?", [model]
            ).fetchone()
        return int(found[0]) if found else 0

    def label_counts(self, model: str, since: datetime) -> dict[date, int]:
        """Return how many labels the log has of the predictions of each day since `since`; every correction counts too.

        A report of a day is out of date when this number has changed since. Only two columns are read.
        """
        import pyarrow as pa
        import pyarrow.compute as pc
        import pyarrow.dataset as pads

        with self.label_rows(since=in_utc(since)) as labels:
            if "event_time" not in labels.schema.names:  # written by an earlier release
                return {}
            chosen = (pads.field("model") == model) & (pads.field("event_time") >= in_utc(since))
            days: Counter[date] = Counter()
            for batch in labels.to_batches(columns=["event_time"], filter=chosen):
                found = pc.value_counts(pc.cast(pc.floor_temporal(batch["event_time"], unit="day"), pa.date32()))
                days.update({each["values"]: each["counts"] for each in found.to_pylist()})
        return dict(days)

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

        # No label is known before its prediction is made; one day more allows for inaccurate clocks.
        first = None if since is None else since.date() - timedelta(days=1)
        at = self.place.table(LABELS_TABLE)
        with storage_errors("read", at):
            yield delta.dataset(at, columns.LABELS, first=first)
