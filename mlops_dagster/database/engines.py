"""Engines on SQLite and PostgreSQL, as every store of this project opens them."""

import re
import sqlite3
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, cast

from sqlalchemy import URL, Dialect, Engine, create_engine, event, make_url
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import ArgumentError, DisconnectionError
from sqlalchemy.pool import ConnectionPoolEntry, PoolProxiedConnection

from mlops_dagster.database.damage import tell_of_dropped
from mlops_dagster.database.wal import LOCK_TIMEOUT_SECONDS, use_wal
from mlops_dagster.database.watchdog import WATCHDOG
from mlops_dagster.errors import InvalidInputError
from mlops_dagster.storage.addresses import SQLITE
from mlops_dagster.urls import SHOWN_OPTIONS, shown_url

if TYPE_CHECKING:
    from psycopg import Connection as Connected

_OPTIONS = re.compile(r"\?[^/=]*=[^/]*$")
"""Text at the end of a path that is meant as options, such as `?mode=ro`, and not as a part of a file's name."""

_IDLE_SECONDS = 1.0
_PING_SECONDS = 5.0
_USED_AT = "mlops_used_at"

# A lost server is noticed within seconds; a statement of ours that takes longer than a minute is stuck.
_POSTGRESQL_OPTIONS = f"-c lock_timeout={LOCK_TIMEOUT_SECONDS}s -c statement_timeout=60s"
_POSTGRESQL_ARGUMENTS = {
    "connect_timeout": 5,
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "tcp_user_timeout": 10_000,  # milliseconds
}


def open_database(url: str) -> Engine:
    """Return an engine on `sqlite:///path` (its folder must exist) or `postgresql://user@host/database`.

    Raises InvalidInputError for anything else.

    >>> open_database("postgresql://ada@db.example/mlops").dialect.name
    'postgresql'
    """
    parsed = parse_url(url)
    return _open_sqlite(parsed) if parsed.drivername == "sqlite" else _open_postgresql(parsed)


def parse_url(url: str) -> URL:
    """Return the parsed URL of a database, the path of an SQLite file as it is; InvalidInputError for any other URL."""
    path = url.removeprefix(SQLITE)
    if path not in (url, "", ":memory:") and not _OPTIONS.search(path):
        return URL.create("sqlite", database=path)
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):  # ValueError: the port is not a number
        parsed = URL.create("unknown")
    if parsed.drivername not in ("postgresql", "postgresql+psycopg"):
        raise InvalidInputError(
            f"no registry can be kept at {shown_url(url)!r}; use sqlite:///path or "
            "postgresql://user@host/database, or nothing for MLOPS_HOME"
        ) from None  # SQLAlchemy quotes what it could not read
    if "@" in (parsed.host or ""):
        raise InvalidInputError(f"the password in {shown_url(url)!r} has an @ that is not written as %40")
    return parsed


def _open_sqlite(url: URL) -> Engine:
    tell_of_dropped(Path(url.database or ""))
    arguments = {"timeout": LOCK_TIMEOUT_SECONDS, "check_same_thread": False}
    engine = create_engine(url, hide_parameters=True, connect_args=arguments)
    event.listen(engine, "connect", _configure_sqlite)
    return engine


def _configure_sqlite(connection: DBAPIConnection, _entry: ConnectionPoolEntry) -> None:
    # The driver must not open transactions by itself: `writing` and `reading` open them, each of its kind.
    connection.isolation_level = None
    use_wal(cast("sqlite3.Connection", connection))
    for pragma in ("synchronous=FULL", "foreign_keys=ON", "secure_delete=ON"):
        connection.cursor().execute(f"PRAGMA {pragma}")


def _open_postgresql(url: URL) -> Engine:
    # Options that may be secret are passed outside the URL, which SQLAlchemy shows in its errors.
    secret = {name: " ".join(_values(value)) for name, value in url.query.items() if name not in SHOWN_OPTIONS}
    if url.password is not None:
        secret["password"] = str(url.password)
    try:
        engine = create_engine(
            url.set(drivername="postgresql+psycopg")._replace(password=None).difference_update_query([*secret]),
            connect_args={
                **_POSTGRESQL_ARGUMENTS,
                **secret,
                "options": f"{_POSTGRESQL_OPTIONS} {secret.get('options', '')}".strip(),
            },
            hide_parameters=True,
        )
    except (ArgumentError, TypeError, ValueError):
        raise InvalidInputError(
            f"the options of {shown_url(url.render_as_string(hide_password=True))!r} cannot be used; leave them out"
        ) from None  # SQLAlchemy quotes what it could not read
    event.listen(engine, "checkin", _remember_use)
    event.listen(engine, "checkout", partial(_ping_if_idle, engine.dialect))
    return engine


def _values(value: str | tuple[str, ...]) -> tuple[str, ...]:
    return (value,) if isinstance(value, str) else value


def _remember_use(_connection: DBAPIConnection | None, entry: ConnectionPoolEntry) -> None:
    entry.info[_USED_AT] = time.monotonic()


def _ping_if_idle(
    dialect: Dialect, connection: DBAPIConnection, entry: ConnectionPoolEntry, _proxy: PoolProxiedConnection
) -> None:
    """Ping the server on a connection that was idle for a second, so that its restart does not fail the next call.

    A ping before each call would take half of the call's time.
    """
    if time.monotonic() - entry.info.get(_USED_AT, time.monotonic()) < _IDLE_SECONDS:
        return
    try:
        with WATCHDOG.watching(cast("Connected", connection).fileno(), _PING_SECONDS):
            dialect.do_ping(connection)
    except dialect.loaded_dbapi.Error as error:
        raise DisconnectionError from error  # the pool connects anew
