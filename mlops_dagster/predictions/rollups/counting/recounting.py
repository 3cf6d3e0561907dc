"""Recount of lost counts from the log, with the same result as from the spool."""

import logging
import tempfile
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, date, datetime, time
from functools import cache
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

import orjson

from mlops_dagster.errors import CorruptedError, StorageError
from mlops_dagster.predictions.log.log import PredictionLog
from mlops_dagster.predictions.log.names import LABELS_TABLE, model_of
from mlops_dagster.predictions.rollups.counting.fold import BinsOf, SlowMsOf, TaskOf, classification, tally
from mlops_dagster.predictions.rollups.counting.tally import Tally
from mlops_dagster.predictions.rollups.rollups import Rollups
from mlops_dagster.predictions.spool.entries import Entry
from mlops_dagster.predictions.spool.locking import shipping_lock
from mlops_dagster.predictions.spool.spool import Spool
from mlops_dagster.statistics import Bins, NumericBins

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa
    import pyarrow.dataset as pads

logger = logging.getLogger(__name__)

_ROWS_AT_ONCE = 10_000
_TIMES = ("event_time", "received_at")

_ROWS = "SELECT * FROM rows WHERE ($own IS NULL OR list_contains($own, process)) ORDER BY number"

# The first label of a prediction is evidence, for every arm.
_LABELS = """
WITH first AS (
    SELECT prediction_id, request, label, "at", number FROM labels
    WHERE model = $model AND event_time >= $start AND event_time < $start + INTERVAL 1 DAY
    QUALIFY row_number() OVER (PARTITION BY prediction_id, request ORDER BY received_at, number) = 1
)
SELECT first.label, epoch_us(first."at") AS at, first.number, list({
    'request': rows.request, 'unit': rows.unit, 'version': rows.version, 'role': rows.role, 'weight': rows.weight,
    'salt': rows.salt, 'key': rows.key, 'prediction': rows.prediction, 'event_time': epoch_us(rows.event_time)
} ORDER BY rows.number) AS arms
FROM rows JOIN first USING (prediction_id, request)
WHERE rows.prediction IS NOT NULL AND ($own IS NULL OR list_contains($own, rows.process))
GROUP BY prediction_id, request, first.label, first."at", first.number
ORDER BY first.number
"""


class Recounted(NamedTuple):
    """The numbers of predictions and labels that were counted again."""

    predictions: int
    labels: int
    left_out: Mapping[str, str] = MappingProxyType({})
    """The models that were not recounted, with the reasons: their counts are missing until a recount succeeds."""


def recount(
    rollups: Rollups,
    spool: Spool,
    log: PredictionLog,
    bins_of: BinsOf,
    slow_ms_of: SlowMsOf,
    *,
    shared_log: bool,
    only_if_lost: bool,
    task_of: TaskOf = classification,
) -> Recounted | None:
    """Count again, each row once, what this spool ever gave to the log; None if no counts were lost.

    All counts appear at once, at the end: a process that reads them earlier finds none, which is no evidence. Entries
    still in the spool are counted by `catch_up` afterwards, as usual. Nothing is shipped until the recount is done, so
    that no entry leaves the spool uncounted. In a `shared_log` the rows of other spools are left to those spools.

    Erased rows are gone, and scorings left out under overload were never in the log: neither are counted again. A model
    whose table cannot be read, or does not take its entries, is left out. Raises StorageError, and CorruptedError, for
    tables that all models share: then the rollups stay as they were.
    """
    with shipping_lock(spool.path, alone=True):
        if only_if_lost and not rollups.is_behind(spool):
            return None  # another process was quicker
        logger.warning("the counts that decisions read are counted again from the log")
        log.writer.take_over(spool)
        left_out = _held_back(spool)
        with log.label_rows():  # which all models need
            pass
        upto = spool.marks.get("shipped")
        spool.index()
        counting = _Counting(
            log, _counted_later(spool, upto), _own(spool) if shared_log else None, bins_of, slow_ms_of, task_of
        )
        models = [model for model in log.models() if model not in left_out]
        left_out |= rollups.begin_anew(spool, upto, {model: counting.tallies(model) for model in models})
    found = counting.counted(model for model in models if model not in left_out)
    logger.warning("%d predictions and %d labels were counted again from the log", found.predictions, found.labels)
    for model, reason in left_out.items():
        logger.error("%s was not counted again, so its decisions lack evidence: %s", model, reason)
    return found._replace(left_out=left_out)


def _held_back(spool: Spool) -> dict[str, str]:
    """Return the models of which the log lacks entries, with the reasons. Raises StorageError if labels are lacking."""
    held = {
        table.table: f"{table.entries} entries are held back, as {table.table} of the log does not take them "
        f"({table.reason})"
        for table in spool.held.tables()
    }
    if reason := held.pop(LABELS_TABLE, None):
        raise StorageError(f"{reason}, so they would be missing from the counts; mend that, and count again")
    return {model_of(table): reason for table, reason in held.items()}


def _own(spool: Spool) -> set[str]:
    return {process.process for process in spool.processes()}


def _counted_later(spool: Spool, after: int) -> set[tuple[str, str, str]]:
    """Return the arms whose first label is counted by an entry that is still in the spool."""
    found: set[tuple[str, str, str]] = set()
    while entries := spool.read(after, _ROWS_AT_ONCE):
        for entry in entries:
            if entry.is_late:
                arm = entry.late()["late"]
                found.add((arm["request"], arm["version"], arm["role"]))
        after = entries[-1].number
    return found


class _Counting:
    def __init__(
        self,
        log: PredictionLog,
        later: Collection[tuple[str, str, str]],
        own: Collection[str] | None,
        bins_of: BinsOf,
        slow_ms_of: SlowMsOf,
        task_of: TaskOf,
    ) -> None:
        self._log = log
        self._later = later
        self._own = own
        self._bins_of = bins_of
        self._slow_ms_of = slow_ms_of
        self._task_of = task_of
        self._counted: defaultdict[str, Counter[str]] = defaultdict(Counter)

    def counted(self, models: Iterable[str]) -> Recounted:
        """Return how many predictions and labels of these models were tallied."""
        total = sum((self._counted[model] for model in models), Counter[str]())
        return Recounted(total["predictions"], total["labels"])

    def tallies(self, model: str) -> Iterator[Tally]:
        """Yield the tallies of a model day by day, as labels count only while it is known which row speaks for a unit.

        Raises CorruptedError if only this model's table cannot be read, StorageError if no table can be read now.
        """
        try:
            with self._log.prediction_rows(model) as every:
                days = sorted(_days(every))
            for day in days:
                yield from self._day(model, day)
        except StorageError as error:
            if not self._log.place.is_writable():
                raise
            raise CorruptedError(error.message, told=error.told) from error

    def _day(self, model: str, day: date) -> Iterator[Tally]:
        start = datetime.combine(day, time(), UTC)
        counted = self._counted[model]
        with (
            self._log.prediction_rows(model, first=day, last=day) as rows,
            self._log.label_rows(since=start) as labels,
            _queries(rows, labels) as connection,
        ):
            own: dict[str, object] = {"own": None if self._own is None else sorted(self._own)}
            for batch in connection.sql(_ROWS, params=own).to_arrow_reader(_ROWS_AT_ONCE):
                yield self._tally(list(_predictions(model, batch, self._bins_of)))
                counted["predictions"] += batch.num_rows
            its = own | {"model": model, "start": start}
            for batch in connection.sql(_LABELS, params=its).to_arrow_reader(_ROWS_AT_ONCE):
                entries = [self._label(model, row) for row in batch.to_pylist()]
                yield self._tally(entries)
                counted["labels"] += len(entries)

    def _tally(self, entries: list[Entry]) -> Tally:
        return tally(entries, self._bins_of, self._slow_ms_of, self._task_of)

    def _label(self, model: str, row: Mapping[str, object]) -> Entry:
        arms = [arm for arm in row["arms"] if (arm["request"], arm["version"], arm["role"]) not in self._later]  # type: ignore[attr-defined]  # the query says so
        body = orjson.dumps({"model": model, "label": row["label"], "at": row["at"], "arms": arms})
        return Entry(int(str(row["number"])), None, body)


def _days(rows: "pads.Dataset") -> set[date]:
    import pyarrow.compute as pc

    days: set[date] = set()
    for batch in rows.to_batches(columns=["date"]):
        days.update(pc.unique(batch["date"]).to_pylist())
    return days


def _predictions(model: str, batch: "pa.RecordBatch", bins_of: BinsOf) -> Iterator[Entry]:
    """Yield the entries that these rows were made of, with only the features that are counted."""
    import pyarrow as pa

    from mlops_dagster.predictions.log.columns import PREDICTIONS

    names = [name for name in PREDICTIONS.names if name != "date"]
    columns = [(batch[name].cast(pa.int64()) if name in _TIMES else batch[name]).to_pylist() for name in names]
    features_of = cache(lambda version: _features(batch, bins_of(model, version) or {}))
    for place, row in enumerate(zip(*columns, strict=True)):
        entry = dict(zip(names, row, strict=True)) | {"model": model}
        entry["features"] = {name: values[place] for name, values in features_of(entry["version"]).items()}
        yield Entry(entry["number"], entry["sequence"], orjson.dumps(entry))


def _features(batch: "pa.RecordBatch", bins: Mapping[str, Bins]) -> dict[str, list[object]]:
    """Return the values of the features that have bins; values of another kind count as missing anyway."""
    from mlops_dagster.predictions.log.columns import feature_column

    found = {
        name: feature_column(batch.schema, name, numeric=isinstance(its, NumericBins)) for name, its in bins.items()
    }
    return {name: batch[column].to_pylist() for name, column in found.items() if column is not None}


@contextmanager
def _queries(rows: "pads.Dataset", labels: "pads.Dataset") -> Iterator["duckdb.DuckDBPyConnection"]:
    """Open a connection that sorts on disk if memory does not suffice."""
    import duckdb

    with tempfile.TemporaryDirectory(prefix="mlops-recount-") as folder, duckdb.connect() as connection:
        connection.execute(f"SET TimeZone = 'UTC'; SET temp_directory = '{folder}'")
        connection.register("rows", rows)
        connection.register("labels", labels)
        try:
            yield connection
        except duckdb.Error as error:
            raise StorageError(f"the log cannot be read, so nothing is counted again: {error}; try again") from error
