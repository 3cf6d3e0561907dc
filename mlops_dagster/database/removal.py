"""Removal of old rows, or only a count of them."""

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import ColumnElement, Connection, Engine, Table, delete, func, select

from mlops_dagster.database.transactions import Work, reading, writing


@contextmanager
def removing(engine: Engine, work: Work = "mlops_dagster", *, dry_run: bool) -> Iterator[Connection]:
    """Hold a transaction for `remove`: one that writes, or one that only reads if nothing is to go."""
    with reading(engine) if dry_run else writing(engine, work) as connection:
        yield connection


def remove(connection: Connection, table: Table, its: ColumnElement[bool], *, dry_run: bool) -> int:
    """Delete the rows for which `its` holds, and return how many there were; in a dry run they stay."""
    if dry_run:
        return connection.scalar(select(func.count()).select_from(table).where(its)) or 0
    return connection.execute(delete(table).where(its)).rowcount
