"""Transactions on either database: one at a time writes, and readers never wait.

On SQLite a write transaction is `BEGIN IMMEDIATE`: with deferred transactions two writers that read first both fail to
upgrade their lock (8 writers lost 700 of 800 writes). On PostgreSQL it takes an advisory lock that ends with it. The
chain of events needs writes in an order anyway: each hash covers the one before.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Literal, TypeAlias, cast

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError, IntegrityError

from mlops_dagster.database.wal import purge
from mlops_dagster.database.watchdog import WATCHDOG
from mlops_dagster.errors import InvalidInputError, StorageError

if TYPE_CHECKING:
    from psycopg import Connection as Connected

Work: TypeAlias = Literal["mlops_dagster", "mlops_dagster rollups", "mlops_dagster labels"]
"""The kinds of writing. Transactions of one kind come one at a time; different kinds do not wait for each other on
PostgreSQL, so that no rollback of a version waits for counts."""

_BEGIN_LOCKED: dict[Work, str] = {
    "mlops_dagster": "BEGIN; SELECT pg_advisory_xact_lock(hashtext('mlops_dagster'))",
    "mlops_dagster rollups": "BEGIN; SELECT pg_advisory_xact_lock(hashtext('mlops_dagster rollups'))",
    "mlops_dagster labels": "BEGIN; SELECT pg_advisory_xact_lock(hashtext('mlops_dagster labels'))",
}


@contextmanager
def writing(engine: Engine, work: Work = "mlops_dagster", patience: float | None = None) -> Iterator[Connection]:
    """Hold a write transaction, committed at the end of the block: all of it, or nothing if the block raises.

    Raises StorageError, also if the transaction takes longer than `patience` seconds on PostgreSQL; InvalidInputError
    for a text that the database cannot hold.
    """
    with _connected(engine, patience) as connection:
        if engine.dialect.name == "sqlite":
            connection.exec_driver_sql("BEGIN IMMEDIATE")
        else:
            # With AUTOCOMMIT the driver begins no transaction by itself: BEGIN and the lock travel as one message.
            connection.execution_options(isolation_level="AUTOCOMMIT").exec_driver_sql(_BEGIN_LOCKED[work])
        yield connection
        connection.commit()


@contextmanager
def reading(engine: Engine) -> Iterator[Connection]:
    """Hold one snapshot for any number of reads. Raises StorageError."""
    with _connected(engine) as connection:
        if engine.dialect.name == "sqlite":
            connection.exec_driver_sql("BEGIN")
        else:
            connection.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
        yield connection
        connection.rollback()


@contextmanager
def looking(engine: Engine, patience: float | None = None) -> Iterator[Connection]:
    """Hold a connection for a single statement, without a transaction: a third of the time of `reading` on PostgreSQL.

    Raises StorageError, also if the block takes longer than `patience` seconds on PostgreSQL.
    """
    with _connected(engine, patience) as connection:
        if engine.dialect.name != "sqlite":  # on SQLite our connections begin no transaction by themselves
            connection.execution_options(isolation_level="AUTOCOMMIT")
        yield connection


def purge_database(engine: Engine) -> None:
    """Remove every byte of deleted rows from a SQLite database; do nothing on PostgreSQL, whose autovacuum does it.

    Raises StorageError.
    """
    if engine.dialect.name != "sqlite":
        return
    with looking(engine) as connection:
        driver = cast("sqlite3.Connection", connection.connection.dbapi_connection)
        try:
            purge(driver)
        except sqlite3.OperationalError as error:
            raise StorageError(
                f"{engine.url.database} keeps what was erased: {error}; run the erasure again"
            ) from error


@contextmanager
def _connected(engine: Engine, patience: float | None = None) -> Iterator[Connection]:
    with _translated(engine), engine.connect() as connection:
        if engine.dialect.name == "sqlite":  # it waits for nothing but a lock, and for 30 s at most
            yield connection
        else:
            with WATCHDOG.watching(cast("Connected", connection.connection.dbapi_connection).fileno(), patience):
                yield connection


@contextmanager
def _translated(engine: Engine) -> Iterator[None]:
    try:
        yield
    except IntegrityError:
        raise  # a row exists already: that is for the caller
    except UnicodeEncodeError as error:
        raise InvalidInputError(f"{error.object!r} holds half a surrogate pair; write valid Unicode") from error
    except DBAPIError as error:
        reason = " ".join(str(error.orig).split())
        if "NUL (0x00)" in reason:
            raise InvalidInputError("a text holds a NUL character, which PostgreSQL cannot keep") from error
        raise StorageError(
            f"the database {engine.url.render_as_string()} cannot be used: {reason}; try again or check the server "
            "or the disk, and look with `mlops models history` whether the change was made"
        ) from error
