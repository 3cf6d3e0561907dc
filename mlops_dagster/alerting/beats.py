"""Beats: the last success of each watcher, from which another watcher sees that it has stopped."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import Column, Double, MetaData, Row, String, Table, Text, select, text

from mlops_dagster.clock import Clock, parse_time
from mlops_dagster.database import looking, migrate, open_database
from mlops_dagster.documents.readable import readable, reading_row
from mlops_dagster.documents.texts import plain

FORGOTTEN_AFTER: Final = timedelta(days=7)
"""The silence after which a watcher is taken to be removed on purpose."""

DELIVERY_BEAT: Final = "duty:delivery"
"""The name of the beat of a data plane that delivers alerts."""

TABLES = MetaData()
_beats = Table(
    "beats",
    TABLES,
    Column("name", String, primary_key=True),
    Column("model", String, primary_key=True),
    Column("at", String, nullable=False),
    Column("seconds", Double, nullable=False),
    Column("note", Text, nullable=False),
)

_NOTE: Final = text(
    "INSERT INTO beats (name, model, at, seconds, note) VALUES (:name, :model, :at, :seconds, :note) "
    "ON CONFLICT (name, model) DO UPDATE SET at = excluded.at, seconds = excluded.seconds, note = excluded.note"
)


@dataclass(frozen=True, slots=True)
class Beat:
    """The last success of a watcher.

    `name` is "sensor:NAME", "schedule:NAME" or, of the data plane's housekeeper, "duty:NAME"; `model` is empty for the
    whole fleet.
    """

    name: str
    model: str
    at: datetime
    every: timedelta
    """The time within which the next success is due."""
    note: str

    def age(self, now: datetime) -> timedelta:
        """Return the time since the last success."""
        return now - self.at

    def is_forgotten(self, now: datetime) -> bool:
        """Return whether it has been silent for so long that it was taken away on purpose."""
        return self.age(now) >= FORGOTTEN_AFTER


class Beats:
    """The beats of one fleet in the `database` of the registry; any number of processes may write them."""

    def __init__(self, database: str, clock: Clock) -> None:
        self._engine = open_database(database)
        self._clock = clock
        migrate(self._engine)

    def beat(self, name: str, every: timedelta, *, model: str = "", note: str = "") -> None:
        """Record a success now, after which the next one is due within `every`. Raises StorageError."""
        now = self._clock.now().isoformat()
        values = {"name": name, "model": model, "at": now, "seconds": every.total_seconds(), "note": plain(note)}
        with looking(self._engine) as connection:
            connection.execute(_NOTE, values)

    def list(self) -> Sequence[Beat]:
        """Return every beat that can be read, by name and model. Raises StorageError."""
        with looking(self._engine) as connection:
            rows = connection.execute(select(_beats).order_by(_beats.c.name, _beats.c.model)).all()
        return readable(rows, _beat)

    def close(self) -> None:
        """Close the connections to the database."""
        self._engine.dispose()


def _beat(row: Row[*tuple[Any, ...]]) -> Beat:
    with reading_row(f"the beat {row.name} of {row.model or 'the fleet'}", "it is written anew at the next success"):
        return Beat(row.name, row.model, parse_time(row.at), timedelta(seconds=row.seconds), row.note)
