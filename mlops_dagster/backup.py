"""A backup of everything embedded, taken while it is in use: a folder that is a home itself."""

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

from mlops_dagster.errors import InvalidInputError, StorageError

_SQLITE = b"SQLite format 3\0"
_PASSING = (".tmp-", ".probe-")  # half-written files
_BESIDE_SQLITE = ("-wal", "-shm", "-journal")  # part of the database file's own copy


def back_up(home: Path, target: Path) -> int:
    """Copy the home to the new folder `target`, and return the number of files.

    What refers to something is copied before what it refers to, so that a backup taken under load is whole:

    - heads of the event chain before the database: an event without its head is sound, a head without its event is not;
    - databases before artifacts and the log: what a row names, or the spool no longer has, was written earlier;
    - the transactions of a Delta table before its files.

    Databases are copied by SQLite itself, so each is of one moment.
    Raises InvalidInputError if `target` is there already or there is no home, StorageError.
    """
    if not home.is_dir():
        raise InvalidInputError(f"there is no home at {str(home)!r} to back up; set MLOPS_HOME")
    if target.exists() or target.resolve().is_relative_to(home.resolve()):
        raise InvalidInputError(f"{str(target)!r} exists or lies in the home itself; name a new folder elsewhere")
    copied = 0
    try:
        for kind in (_is_anchor, _is_database, _is_transaction, _is_other):
            for file in _files(home):
                if kind(file):
                    _copy(file, target / file.relative_to(home))
                    copied += 1
    except (OSError, sqlite3.Error) as error:
        raise StorageError(f"the backup to {str(target)!r} is not whole: {error}; remove it and try again") from error
    return copied


def _files(home: Path) -> list[Path]:
    """As they are now. The pointer to the last checkpoint of a Delta table comes before what it points to."""
    found = (file for file in home.rglob("*") if file.is_file() and not _passes(file))
    return sorted(found, key=lambda file: (file.name != "_last_checkpoint", file))


def _passes(file: Path) -> bool:
    return file.name.startswith(_PASSING) or file.name.endswith(_BESIDE_SQLITE)


def _is_anchor(file: Path) -> bool:
    return "anchors" in file.parts


def _is_database(file: Path) -> bool:
    with file.open("rb") as opened:
        return opened.read(len(_SQLITE)) == _SQLITE


def _is_transaction(file: Path) -> bool:
    return file.parent.name == "_delta_log"


def _is_other(file: Path) -> bool:
    return not (_is_anchor(file) or _is_database(file) or _is_transaction(file))


def _copy(file: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    if _is_database(file):
        with closing(sqlite3.connect(file)) as source, closing(sqlite3.connect(target)) as copy:
            source.backup(copy)
    else:
        shutil.copy2(file, target)
