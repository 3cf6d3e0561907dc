"""Rows of predictions joined with their labels, in SQL for every engine."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Final

from mlops_dagster.clock import in_utc
from mlops_dagster.predictions.engine.engine import Source, Statement
from mlops_dagster.predictions.records import Role

LABEL_COLUMNS: Final = {
    "id": "prediction_id",
    "request": "request",
    "model": "model",
    "label": "label",
    "known_at": "at",
    "received_at": "received_at",
    "number": "number",
    "event_time": "event_time",
}
ROW_COLUMNS: Final = {
    "id": "prediction_id",
    "request": "request",
    "role": "role",
    "event_time": "event_time",
    "day": "date",
}
"""The columns of predictions that the join and the window need."""

# A label belongs to the row whose request it names: other requests may have the same id. The valid label is the one
# that became known last; of several, the one that came last.
_LABELLED: Final = """
WITH numbered AS (
    SELECT id, request, label, known_at, row_number() OVER (
        PARTITION BY id, request ORDER BY known_at DESC, received_at DESC, number DESC
    ) AS place
    FROM labels
    WHERE model = ? AND (event_time IS NULL OR (event_time >= ? AND event_time < ?))
),
valid AS (SELECT id, request, label, known_at FROM numbered WHERE place = 1),
labelled AS (
    SELECT {columns} FROM rows LEFT JOIN valid USING (id, request)
    WHERE day >= ? AND day <= ? AND event_time >= ? AND event_time < ? AND role IN ({roles})
)
"""


@dataclass(frozen=True, slots=True)
class Window:
    """The rows of a model that a statement is about: those of some roles with since <= event_time < until."""

    model: str
    since: datetime
    until: datetime
    roles: Sequence[Role]

    @property
    def days(self) -> dict[str, date]:
        """The `first` and the `last` day of which a table is read."""
        return {"first": in_utc(self.since).date(), "last": in_utc(self.until).date()}


def labelled(window: Window, rows: Source, labels: Source, columns: Sequence[str], then: str) -> Statement:
    """Return a statement that begins with `labelled`, these columns of rows and labels, and goes on with `then`.

    Columns are of `rows`, or are `label` and `known_at` of the valid label, null without one. The source of the rows
    has ROW_COLUMNS at least, that of the labels has LABEL_COLUMNS.
    """
    since, until = in_utc(window.since), in_utc(window.until)
    text = _LABELLED.format(columns=", ".join(columns), roles=", ".join("?" * len(window.roles)))
    parameters = [window.model, since, until, since.date(), until.date(), since, until, *window.roles]
    return Statement(text + then, {"rows": rows, "labels": labels}, parameters)
