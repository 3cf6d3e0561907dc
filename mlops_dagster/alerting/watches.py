"""The watches of all models in the database of the registry: the state of each rule between two looks."""

from collections.abc import Collection, Iterable
from typing import Any, TypeAlias

from pydantic import TypeAdapter
from sqlalchemy import Column, MetaData, Row, String, Table, Text, delete, func, select
from sqlalchemy.dialects import postgresql, sqlite

from mlops_dagster.alerting.judging import Watch
from mlops_dagster.database import migrate, open_database, reading, writing
from mlops_dagster.documents.readable import readable, reading_row

WatchKey: TypeAlias = tuple[str, str]
"""Model and rule."""

TABLES = MetaData()
_watches = Table(
    "watches",
    TABLES,
    Column("model", String, primary_key=True),
    Column("rule", String, primary_key=True),
    Column("body", Text, nullable=False),
)
_WATCH = TypeAdapter(Watch)


class Watches:
    """The store of watches in a `database`, which any number of processes may share."""

    def __init__(self, database: str) -> None:
        self._engine = open_database(database)
        migrate(self._engine)

    def all(self, model: str | None = None) -> dict[WatchKey, Watch]:
        """Return the watches of a model, or of all. One that cannot be read is left out and logged: it begins anew."""
        query = select(_watches.c.model, _watches.c.rule, _watches.c.body)
        if model is not None:
            query = query.where(_watches.c.model == model)
        with reading(self._engine) as connection:
            found = readable(connection.execute(query), _watch)
        return {(watch.model, watch.rule): watch for watch in found}

    def count(self) -> int:
        """Return the number of rules that are watched, of all models."""
        with reading(self._engine) as connection:
            return connection.scalar(select(func.count()).select_from(_watches)) or 0

    def save(self, watches: Iterable[Watch], removed: Collection[WatchKey] = ()) -> None:
        """Write the watches, and remove those of rules that are off, in one transaction."""
        rows = [
            {"model": each.model, "rule": each.rule.value, "body": _WATCH.dump_json(each).decode()} for each in watches
        ]
        if not rows and not removed:
            return
        made = (sqlite if self._engine.dialect.name == "sqlite" else postgresql).insert(_watches)
        upsert = made.on_conflict_do_update(index_elements=["model", "rule"], set_={"body": made.excluded.body})
        with writing(self._engine) as connection:
            if rows:
                connection.execute(upsert, rows)
            for model, rule in removed:
                connection.execute(delete(_watches).where(_watches.c.model == model, _watches.c.rule == rule))

    def close(self) -> None:
        """Close the connections to the database."""
        self._engine.dispose()


def _watch(row: Row[*tuple[Any, ...]]) -> Watch:
    with reading_row(f"the watch {row.rule} of {row.model}", "it begins anew at the next look"):
        return _WATCH.validate_json(row.body)
