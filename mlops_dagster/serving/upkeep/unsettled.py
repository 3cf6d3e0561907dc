"""The number of rows that wait in a worker off the response path, in a file that outlives the worker."""

import fcntl
import logging
import os
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import TypeAlias

import orjson

from mlops_dagster.predictions import Role, ShedRecord, Spool

logger = logging.getLogger(__name__)

Arm: TypeAlias = tuple[str, str, Role, float, datetime]
"""An arm in one minute: model, version, role, weight, and the minute of the answer."""

_NAME = ".unsettled-"


class Unsettled:
    """The number of rows that wait in this process, by arm, in a file that the process keeps locked while it lives.

    The file is a line of JSON, written with each change and not synced: it outlives a killed process, but not a loss of
    power.
    """

    def __init__(self, home: Path, process: str) -> None:
        self._path = home / f"{_NAME}{process}"
        self._descriptor = os.open(self._path, os.O_CREAT | os.O_RDWR, 0o600)
        fcntl.flock(self._descriptor, fcntl.LOCK_EX)
        self._rows: Counter[Arm] = Counter()

    def change(self, rows: Counter[Arm], sign: int) -> None:
        """Add rows that wait now (`sign` 1), or subtract rows that wait no more (-1); a full disk raises no error."""
        for arm, count in rows.items():
            self._rows[arm] += sign * count
        self._rows += Counter()  # drops the arms without rows
        line = orjson.dumps([[*arm, count] for arm, count in self._rows.items()], option=orjson.OPT_APPEND_NEWLINE)
        with suppress(OSError):
            os.pwrite(self._descriptor, line, 0)  # the rest of a longer, older line may follow this one

    def close(self) -> None:
        """Remove the file, as no row waits any more."""
        self._path.unlink(missing_ok=True)
        os.close(self._descriptor)


def shed_of_the_dead(home: Path, spool: Spool) -> None:
    """Record as left out the rows that waited in processes that are gone. Raises StorageError."""
    for path in home.glob(f"{_NAME}*"):
        with _left_behind(path) as line:
            if line is None:
                continue
            records = [
                ShedRecord(model, version, role, weight, datetime.fromisoformat(minute), rows)
                for model, version, role, weight, minute, rows in orjson.loads(line or b"[]")
            ]
            if records:
                spool.shed(records)
                logger.warning(
                    "%d rows waited to be scored off the response path when a process was killed: they are left out",
                    sum(record.rows for record in records),
                )
            path.unlink(missing_ok=True)


@contextmanager
def _left_behind(path: Path) -> Iterator[bytes | None]:
    """Hold the lock of a process's file and give its first line; None if the process lives, or the file is gone."""
    try:
        file = path.open("rb")
    except FileNotFoundError:
        yield None
        return
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield None
        else:
            yield file.readline()
