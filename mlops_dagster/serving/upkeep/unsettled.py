"""How many scorings off the response path wait in a worker: a file that outlives the worker, for who comes after."""

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
"""Model, version, role, weight, and the minute of the answer."""

_NAME = ".unsettled-"


class Unsettled:
    """The rows that wait in this process, by arm, in a file that it holds locked for as long as it lives.

    Written with each change, a line of JSON; not synced: it tells of a process that was killed, not of a loss of power.
    """

    def __init__(self, home: Path, process: str) -> None:
        self._path = home / f"{_NAME}{process}"
        self._descriptor = os.open(self._path, os.O_CREAT | os.O_RDWR, 0o600)
        fcntl.flock(self._descriptor, fcntl.LOCK_EX)
        self._rows: Counter[Arm] = Counter()

    def change(self, rows: Counter[Arm], sign: int) -> None:
        """Add what waits now (1), or take away what waits no more (-1). A full disk is no reason to fail."""
        for arm, count in rows.items():
            self._rows[arm] += sign * count
        self._rows += Counter()  # leaves out what is nothing
        line = orjson.dumps([[*arm, count] for arm, count in self._rows.items()], option=orjson.OPT_APPEND_NEWLINE)
        with suppress(OSError):
            os.pwrite(self._descriptor, line, 0)  # what is left of a longer line follows this one

    def close(self) -> None:
        """Nothing waits any more."""
        self._path.unlink(missing_ok=True)
        os.close(self._descriptor)


def shed_of_the_dead(home: Path, spool: Spool) -> None:
    """Record as left out what processes had waiting that are gone. Raises StorageError."""
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
    """The first line of the file of a process that is gone; None of one that lives."""
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
