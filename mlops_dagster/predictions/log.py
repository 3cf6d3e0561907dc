"""The prediction log: append-only Delta Lake tables that any engine reads."""

import threading
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from mlops_dagster.clock import in_utc
from mlops_dagster.errors import InvalidInputError, PredictionNotFoundError
from mlops_dagster.predictions.entries import Entry
from mlops_dagster.predictions.records import ANSWERED, LabelEntry, PredictionEntry, Role
from mlops_dagster.predictions.spool import Spool

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa
    import pyarrow.dataset as pads
    from deltalake import DeltaTable

_ENTRIES_AT_ONCE = 20_000
_ORDER = ("event_time", "process", "sequence")

# The label that holds is the one that became known last; of those, the one that came last.
_WITH_LABELS = """
SELECT $model AS model, rows.*, label, labelled_at
FROM rows LEFT JOIN (
    SELECT prediction_id, label, "at" AS labelled_at FROM labels WHERE model = $model
    QUALIFY row_number() OVER (PARTITION BY prediction_id ORDER BY "at" DESC, received_at DESC, number DESC) = 1
) USING (prediction_id)
ORDER BY event_time, process, sequence
"""


class PredictionLog:
    """`predictions/<model>`, partitioned by the date of the event, and `labels`, by the date they became known."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._labels_path = path / "labels"
        self._shipping = threading.Lock()

    def ship(self, spool: Spool) -> int:
        """Append what the spool holds, each entry exactly once, and free what every other consumer has too.

        Returns how many entries (predictions and labels) this call appended. Several processes may ship at once.
        """
        appended = 0
        with self._shipping:
            while entries := spool.read(spool.marked("shipped"), _ENTRIES_AT_ONCE):
                appended += self._append(spool.id, entries)
                spool.mark("shipped", entries[-1].number)
            spool.free()
        return appended

    def read(
        self,
        model: str,
        since: datetime,
        until: datetime,
        columns: Sequence[str] | None = None,
        roles: Sequence[Role] = ANSWERED,
    ) -> "pa.Table":
        """Rows with since <= event_time < until, in the order of event time; an empty table if there are none.

        A feature column that never had a value is all null; another column that is not there is an InvalidInputError.
        """
        import pyarrow as pa

        from mlops_dagster.predictions import delta

        dataset = self._dataset(model, first=in_utc(since).date(), last=in_utc(until).date())
        wanted = list(dataset.schema.names if columns is None else columns)
        absent = [name for name in wanted if name not in dataset.schema.names]
        if unknown := [name for name in absent if not name.startswith("feature_")]:
            raise InvalidInputError(f"the log of {model} has no columns {unknown}; it has {dataset.schema.names}")
        rows = dataset.to_table(list({*wanted, *_ORDER} - {*absent}), filter=delta.window(since, until, roles))
        for name in absent:
            rows = rows.append_column(name, pa.nulls(rows.num_rows))
        return rows.sort_by([(name, "ascending") for name in _ORDER]).select(wanted)

    def labelled(self, model: str, since: datetime, until: datetime, roles: Sequence[Role] = ANSWERED) -> "pa.Table":
        """`read`, with `model`, the latest `label` and its time (`labelled_at`): null where none has come."""
        # No label is known before its prediction is made; a day is for clocks that are not quite right.
        first = in_utc(since).date() - timedelta(days=1)
        return self._with_labels(model, self.read(model, since, until, roles=roles), labels_from=first)

    def get(self, prediction_id: str, model: str | None = None) -> dict[str, object]:
        """The answered row of a prediction, with the columns of `labelled`. Raises PredictionNotFoundError."""
        import pyarrow.dataset as pads

        answer = (pads.field("prediction_id") == prediction_id) & pads.field("role").isin(ANSWERED)
        for candidate in [model] if model is not None else self.models():
            rows = self._dataset(candidate).to_table(filter=answer)
            if rows.num_rows > 0:
                row: dict[str, object] = self._with_labels(candidate, rows).to_pylist()[0]
                return row
        raise PredictionNotFoundError(
            f"no prediction {prediction_id!r} in the log at {self.path}; "
            "one made in the last seconds may not be there yet"
        )

    def count(self, model: str, roles: Sequence[Role] = ANSWERED) -> int:
        """How many rows the log holds: by default, one for every row that a client sent."""
        import pyarrow.dataset as pads

        return int(self._dataset(model).count_rows(filter=pads.field("role").isin(list(roles))))

    def count_labelled(self, model: str) -> int:
        """How many predictions have a label."""
        with self._duckdb() as connection:
            found = connection.execute(
                "SELECT count(DISTINCT prediction_id) FROM labels WHERE model = ?", [model]
            ).fetchone()
        return int(found[0]) if found else 0

    def sequences(self) -> "pa.Table":
        """`process`, `sequence` and `role` of every row of every model."""
        import pyarrow as pa

        from mlops_dagster.predictions import columns

        wanted = ["process", "sequence", "role"]
        tables = [self._dataset(model).to_table(wanted) for model in self.models()]
        return pa.concat_tables([columns.PREDICTIONS.empty_table().select(wanted), *tables])

    def models(self) -> list[str]:
        """Every model that has a table."""
        return sorted(folder.parent.name for folder in self.path.glob("predictions/*/_delta_log"))

    def compact(self, model: str) -> None:
        """Merge the small files of a model's table; its rows stay as they are."""
        from mlops_dagster.predictions import delta

        if table := delta.open_table(self._predictions_path(model)):
            table.optimize.compact()

    def _append(self, spool_id: str, entries: Sequence[Entry]) -> int:
        predictions: defaultdict[str, list[tuple[Entry, PredictionEntry]]] = defaultdict(list)
        labels: list[tuple[Entry, LabelEntry]] = []
        for entry in entries:
            if entry.is_shed:
                continue  # a count, for the rollups
            if entry.sequence is None:
                labels.append((entry, entry.label()))
            else:
                prediction = entry.prediction()
                predictions[prediction["model"]].append((entry, prediction))
        appended = sum(self._append_predictions(spool_id, model, rows) for model, rows in predictions.items())
        return appended + (self._append_labels(spool_id, labels) if labels else 0)

    def _append_predictions(self, spool_id: str, model: str, rows: Sequence[tuple[Entry, PredictionEntry]]) -> int:
        from mlops_dagster.predictions import columns, delta

        def new_rows(table: "DeltaTable", after: int) -> "pa.Table":
            new = [(entry.sequence or 0, row) for entry, row in rows if entry.number > after]
            return columns.prediction_table(new, delta.feature_types(table))

        path = self._predictions_path(model)
        return delta.append_once(path, columns.PREDICTIONS, spool_id, rows[-1][0].number, new_rows)

    def _append_labels(self, spool_id: str, rows: Sequence[tuple[Entry, LabelEntry]]) -> int:
        from mlops_dagster.predictions import columns, delta

        def new_rows(_table: "DeltaTable", after: int) -> "pa.Table":
            return columns.label_table([(entry.number, row) for entry, row in rows if entry.number > after])

        return delta.append_once(self._labels_path, columns.LABELS, spool_id, rows[-1][0].number, new_rows)

    def _with_labels(self, model: str, rows: "pa.Table", *, labels_from: date | None = None) -> "pa.Table":
        with self._duckdb(labels_from) as connection:
            connection.register("rows", rows)
            return connection.sql(_WITH_LABELS, params={"model": model}).to_arrow_table()

    def _predictions_path(self, model: str) -> Path:
        return self.path / "predictions" / model

    def _dataset(self, model: str, *, first: date | None = None, last: date | None = None) -> "pads.Dataset":
        from mlops_dagster.predictions import columns, delta

        return delta.dataset(self._predictions_path(model), columns.PREDICTIONS, first=first, last=last)

    @contextmanager
    def _duckdb(self, labels_from: date | None = None) -> "Iterator[duckdb.DuckDBPyConnection]":
        """DuckDB with the labels, those that became known since `labels_from`, as a table."""
        import duckdb

        from mlops_dagster.predictions import columns, delta

        with duckdb.connect() as connection:
            connection.execute("SET TimeZone = 'UTC'")
            connection.register("labels", delta.dataset(self._labels_path, columns.LABELS, first=labels_from))
            yield connection
