"""Backup of a home while it is in use, to a folder that is a home itself, with a dump of PostgreSQL if that is used."""

import os
import shutil
import sqlite3
import subprocess
import tempfile
from contextlib import closing
from pathlib import Path

from sqlalchemy import URL

from mlops_dagster.database.engines import parse_url
from mlops_dagster.errors import InvalidInputError, StorageError
from mlops_dagster.storage.private import write_privately

_SQLITE = b"SQLite format 3\0"
_PASSING = (".tmp-", ".probe-", ".unsettled-")  # half-written files, and files of running processes
_BESIDE_SQLITE = ("-wal", "-shm", "-journal")  # SQLite copies what they hold with the database file

_ENTRIES_AHEAD = 1_000_000_000  # more entries than arrive while a backup is taken

_SERVICE = "mlops"

DUMP = "postgresql.dump"
"""The name of the dump of PostgreSQL in a backup; `pg_restore --no-owner --dbname=URL` reads it."""


def back_up(home: Path, target: Path, database_url: str | None = None) -> int:
    """Copy the home, and a dump of PostgreSQL if `database_url` is given, to the new folder `target`.

    Returns the number of files. A file that refers to another is copied before that one, so that a backup taken under
    load is whole:

    - heads of the event chain before the database: an event without its head is sound, a head without its event is not;
    - the spool before its readers, which are the rollups, the index of labels and the log: they have the entries that
      the spool no longer has, and its copy numbers new entries beyond all that the readers have seen since;
    - databases before artifacts and the log: the files that a row names were written before the row;
    - the transactions of a Delta table before its files.

    SQLite itself, or `pg_dump`, copies a database, so that each copy shows one moment.
    Raises InvalidInputError if `target` exists or lies in the home, or if there is no home; StorageError if a copy
    fails.
    """
    if not home.is_dir():
        raise InvalidInputError(f"there is no home at {str(home)!r} to back up; set MLOPS_HOME")
    if target.exists() or target.resolve().is_relative_to(home.resolve()):
        raise InvalidInputError(f"{str(target)!r} exists or lies in the home itself; name a new folder elsewhere")
    copied = 0
    write_privately()
    try:
        for kind in (_is_anchor, _is_spool, _is_database, _is_transaction, _is_other):
            for file in _files(home):
                if kind(file):
                    _copy(file, target / file.relative_to(home))
                    copied += 1
                    if kind is _is_spool:
                        _count_on(target / file.relative_to(home))
            if kind is _is_anchor and database_url is not None:
                _dump(database_url, target / DUMP)
                copied += 1
    except StorageError:
        raise
    except (OSError, sqlite3.Error) as error:
        raise StorageError(f"the backup to {str(target)!r} is not whole: {error}; remove it and try again") from error
    return copied


def _dump(database_url: str, file: Path) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    command = ("pg_dump", "--format=custom", f"--file={file}", f"--dbname=service={_SERVICE}")
    try:
        with tempfile.NamedTemporaryFile("w", prefix="mlops-pg-service-") as service:  # for its owner only
            service.write(_as_service(parse_url(database_url)))
            service.flush()
            environment = os.environ | {"PGSERVICEFILE": service.name}
            subprocess.run(command, check=True, capture_output=True, text=True, env=environment)  # noqa: S603
    except FileNotFoundError as error:
        raise StorageError("pg_dump is not installed; install the client programs of PostgreSQL") from error
    except subprocess.CalledProcessError as error:
        raise StorageError(
            f"pg_dump failed: {' '.join(error.stderr.split())}; remove the backup, see to that and try again"
        ) from error


def _as_service(url: URL) -> str:
    """Return a service file of libpq for the database: others may read the arguments and environment of a process.

    Raises InvalidInputError for a value with a line break, which such a file cannot hold.
    """
    known = {"host": url.host, "port": url.port, "user": url.username, "password": url.password, "dbname": url.database}
    options = {name: value if isinstance(value, str) else ",".join(value) for name, value in url.query.items()}
    parameters = {name: str(value) for name, value in {**known, **options}.items() if value is not None}
    if broken := [name for name, value in parameters.items() if "\n" in value]:
        raise InvalidInputError(f"MLOPS_DATABASE_URL has a line break in {', '.join(broken)}")
    return "\n".join([f"[{_SERVICE}]", *(f"{name}={value}" for name, value in parameters.items()), ""])


def _files(home: Path) -> list[Path]:
    """Return the files to copy, as they are now; a Delta table's pointer to its last checkpoint before that one."""
    found = (file for file in home.rglob("*") if file.is_file() and not _passes(file))
    return sorted(found, key=lambda file: (file.name != "_last_checkpoint", file))


def _passes(file: Path) -> bool:
    return file.name.startswith(_PASSING) or file.name.endswith(_BESIDE_SQLITE)


def _is_anchor(file: Path) -> bool:
    return file.parent.parent.name == "anchors"


def _is_spool(file: Path) -> bool:
    return file.name == "spool.sqlite"


def _is_database(file: Path) -> bool:
    if _is_spool(file):
        return False
    return _holds_a_database(file)


def _holds_a_database(file: Path) -> bool:
    with file.open("rb") as opened:
        return opened.read(len(_SQLITE)) == _SQLITE


def _is_transaction(file: Path) -> bool:
    return file.parent.name == "_delta_log"


def _is_other(file: Path) -> bool:
    return not (_is_anchor(file) or _is_spool(file) or _is_database(file) or _is_transaction(file))


def _copy(file: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    if _holds_a_database(file):
        with closing(sqlite3.connect(file)) as source, closing(sqlite3.connect(target)) as copy:
            source.backup(copy)
    else:
        shutil.copy2(file, target)


def _count_on(spool: Path) -> None:
    """Raise the counter of a copied spool: the log and the rollups would skip an entry whose number they have seen."""
    with closing(sqlite3.connect(spool)) as copy, copy:
        copy.execute(
            "INSERT INTO sqlite_sequence SELECT 'entries', 0 "
            "WHERE NOT EXISTS (SELECT * FROM sqlite_sequence WHERE name = 'entries')"
        )
        copy.execute("UPDATE sqlite_sequence SET seq = seq + ? WHERE name = 'entries'", (_ENTRIES_AHEAD,))
