"""The log's tables as sources of statements: the newest version of each, of the days that are needed."""

from collections.abc import Mapping
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING

from mlops_dagster.clock import in_utc
from mlops_dagster.predictions.engine.engine import Source, Stored
from mlops_dagster.predictions.log.location import LogLocation
from mlops_dagster.predictions.log.names import LABELS_TABLE, predictions_table
from mlops_dagster.predictions.log.statements.labelled import LABEL_COLUMNS, Window

if TYPE_CHECKING:
    import pyarrow as pa


class Sources:
    """The tables at one location; a table that does not exist yet is empty. Each call may raise StorageError."""

    def __init__(self, place: LogLocation) -> None:
        self._place = place

    def rows(self, window: Window, columns: Mapping[str, str]) -> Source:
        """Return the days of a model's table that a window needs."""
        return self.predictions(window.model, columns, **window.days)

    def predictions(
        self, model: str, columns: Mapping[str, str], *, first: date | None = None, last: date | None = None
    ) -> Source:
        """Return a model's table, or its days from `first` to `last`."""
        from mlops_dagster.predictions.log.columns import PREDICTIONS

        return self._source(predictions_table(model), PREDICTIONS, columns, first, last)

    def labels(self, since: datetime | None) -> Source:
        """Return the labels of the predictions made since `since`, or all labels."""
        from mlops_dagster.predictions.log.columns import LABELS

        return self._source(LABELS_TABLE, LABELS, LABEL_COLUMNS, known_from(since), None)

    def schema(self, model: str) -> "pa.Schema":
        """Return the columns that every model has, and those of the model's features."""
        import pyarrow as pa

        from mlops_dagster.predictions.log.columns import PREDICTIONS
        from mlops_dagster.predictions.log.delta import tables as delta

        table = delta.open_table(self._place.table(predictions_table(model)))
        features = {} if table is None else delta.feature_types(table)
        return pa.schema([*PREDICTIONS, *(pa.field(*each) for each in features.items())])

    def _source(
        self, name: str, schema: "pa.Schema", columns: Mapping[str, str], first: date | None, last: date | None
    ) -> Source:
        from mlops_dagster.predictions.log.delta import tables as delta

        at = self._place.table(name)
        table = delta.open_table(at)
        rows = schema.empty_table() if table is None else Stored(at, table, delta.day_filters(first, last))
        return Source(rows, columns)


def known_from(since: datetime | None) -> date | None:
    """Return the first day on which a label of a prediction made since `since` may be known; None for all days.

    No label is known before its prediction is made; one day more allows for inaccurate clocks.
    """
    return None if since is None else in_utc(since).date() - timedelta(days=1)
