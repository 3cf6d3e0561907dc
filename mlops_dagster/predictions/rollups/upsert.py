"""Rows that are added to those of the same key, on SQLite and PostgreSQL alike."""

from collections.abc import Iterable
from functools import lru_cache

from sqlalchemy import Connection, Table

from mlops_dagster.predictions.rollups.tables import cells, units

Row = tuple[object, ...]


def upsert(connection: Connection, table: Table, rows: Iterable[Row]) -> None:
    """Insert the rows, each added to the one of its key if that is there."""
    if values := list(rows):
        # To the driver itself: SQLAlchemy takes longer over the parameters than SQLite over the statements.
        connection.exec_driver_sql(_addition(table, "?" if connection.dialect.name == "sqlite" else "%s"), values)


@lru_cache
def _addition(table: Table, mark: str) -> str:
    """Insert a row, or add it to the one of its key: of first times the earlier stays, all else adds up."""
    names = table.columns.keys()
    keys = table.primary_key.columns.keys()
    changes = ", ".join(f"{name} = {_merged(table.name, name)}" for name in names if name not in keys)
    row = f"({', '.join(names)}) VALUES ({', '.join(mark for _ in names)})"
    return f"INSERT INTO {table.name} {row} ON CONFLICT ({', '.join(keys)}) DO UPDATE SET {changes}"


def _merged(table: str, name: str) -> str:
    if table == cells.name:  # added up already: no database knows how
        return f"excluded.{name}"
    if table == units.name:  # whoever speaks for a unit goes on to
        return f"{table}.{name}"
    if not name.startswith("first_"):
        return f"{table}.{name} + excluded.{name}"
    # SQLite and PostgreSQL have no function in common for the lesser of two, one of which may be NULL.
    known, added = f"{table}.{name}", f"excluded.{name}"
    return f"coalesce(CASE WHEN {added} < {known} THEN {added} ELSE {known} END, {added})"
