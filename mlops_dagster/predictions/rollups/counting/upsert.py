"""Insertion of rows that are added to rows of the same key, on SQLite and PostgreSQL alike."""

from collections.abc import Iterable
from functools import lru_cache

from sqlalchemy import Connection, Table

from mlops_dagster.predictions.rollups.tables import cells, units

Row = tuple[object, ...]


def upsert(connection: Connection, table: Table, rows: Iterable[Row]) -> None:
    """Insert the rows, each added to the row of the same key if there is one."""
    if values := list(rows):
        # Calls the driver directly: SQLAlchemy needs more time for the parameters than SQLite for the statements.
        connection.exec_driver_sql(_addition(table, "?" if connection.dialect.name == "sqlite" else "%s"), values)


@lru_cache
def _addition(table: Table, mark: str) -> str:
    """Return the statement that inserts a row, or adds it to that of its key: the earlier of two first times stays."""
    names = table.columns.keys()
    keys = table.primary_key.columns.keys()
    changes = ", ".join(f"{name} = {_merged(table.name, name)}" for name in names if name not in keys)
    row = f"({', '.join(names)}) VALUES ({', '.join(mark for _ in names)})"
    return f"INSERT INTO {table.name} {row} ON CONFLICT ({', '.join(keys)}) DO UPDATE SET {changes}"


def _merged(table: str, name: str) -> str:
    if table == cells.name:  # added up already, since no database adds these bytes
        return f"excluded.{name}"
    if table == units.name:  # the row that speaks for a unit stays the same
        return f"{table}.{name}"
    if not name.startswith("first_"):
        return f"{table}.{name} + excluded.{name}"
    # SQLite and PostgreSQL have no function in common for the lesser of two, one of which may be NULL.
    known, added = f"{table}.{name}", f"excluded.{name}"
    return f"coalesce(CASE WHEN {added} < {known} THEN {added} ELSE {known} END, {added})"
