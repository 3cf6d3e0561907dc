"""Detection of damaged SQLite files, and of transactions that SQLite drops silently from a damaged write-ahead log."""

import logging
import sqlite3
from contextlib import closing
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from mlops_dagster.database.wal import PRIMARY_CODE

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Words: TypeAlias = npt.NDArray[np.uint32]

logger = logging.getLogger(__name__)

_HEADER, _FRAME_HEADER = 8, 6  # words of 4 bytes
_LITTLE, _BIG = 0x377F0682, 0x377F0683  # the byte order of the words from which checksums are computed
_USUAL_PAGE = 4096
_FRAMES_AT_ONCE = 8_192


def tell_of_dropped(database: Path) -> int:
    """Return the number of committed transactions that SQLite drops when it opens `database`, and log an error if any.

    Call it before the file is opened; other processes may use the file meanwhile. The loss is not seen in a log whose
    end was cut off. Where every process was killed, a commit that none of them had finished may count as one.
    """
    log = database.with_name(f"{database.name}-wal")
    try:
        # Most logs are sound, or empty: only one that looks damaged is looked at while nobody else can have it open.
        dropped = _dropped_alone(database, log) if dropped_transactions(log) else 0
    except FileNotFoundError:
        return 0
    if dropped:
        logger.error(
            "the write-ahead log of %s is damaged: %d transactions that were committed are lost; `mlops predictions "
            "audit` or `mlops audit verify` says what is missing; a backup may have it", database, dropped,
        )  # fmt: skip
    return dropped


def _dropped_alone(database: Path, log: Path) -> int:
    """Return the number of dropped transactions of a database without connections; 0 if it has some.

    SQLite reads the log anew only where nobody has the file open. While others have, nothing is dropped, and the log
    may look damaged: its frames are read while they are written, and the frames of a process that was killed stay
    behind those that overwrite them.
    """
    with closing(sqlite3.connect(database, timeout=0)) as connection:
        connection.execute("PRAGMA locking_mode=EXCLUSIVE")
        try:
            connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & PRIMARY_CODE == sqlite3.SQLITE_BUSY:
                return 0
            raise
        dropped = dropped_transactions(log)
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()  # so that a loss is not reported again
        return dropped


def set_aside_if_damaged(database: Path) -> Path | None:
    """Move a damaged database, or a file that is not a database, to the returned path; None if the file is sound.

    For a file whose content can be made anew. Call it before the file is opened.
    """
    if not database.exists():
        return None
    tell_of_dropped(database)
    try:
        with closing(sqlite3.connect(database)) as connection:
            reason = str(connection.execute("PRAGMA quick_check(1)").fetchone()[0])
    except sqlite3.OperationalError:  # it is in use, or the disk is away: that does not tell whether it is damaged
        return None
    except sqlite3.DatabaseError as error:
        reason = str(error)
    if reason == "ok":
        return None
    aside = database.with_name(f"{database.name}.damaged")
    database.replace(aside)
    for ending in ("-wal", "-shm"):
        database.with_name(f"{database.name}{ending}").unlink(missing_ok=True)
    logger.error("%s is damaged (%s) and is set aside as %s", database, " ".join(reason.split()), aside.name)
    return aside


def dropped_transactions(log: Path) -> int:
    """Return the number of transactions that end in or after the first damaged frame of a write-ahead log.

    A damaged last frame counts as one that is being written, not as damage. Raises OSError.
    """
    import numpy as np

    with log.open("rb") as file:
        first = file.read(4 * _HEADER)
        if len(first) < 4 * _HEADER:
            return 0
        header = np.frombuffer(first, ">u4")
        order = np.dtype(">u4" if header[0] == _BIG else "<u4")
        intact = header[0] in (_LITTLE, _BIG) and bool(
            (_sums(np.frombuffer(first[:24], order)[None], np.zeros((1, 2), np.uint32)) == header[6:]).all()
        )
        length = _FRAME_HEADER + (int(header[2]) if intact else _USUAL_PAGE) // 4
        salts, before = (header[4:6], header[6:8]) if intact else (None, header[6:8])
        current, whole, ends = [], [], []
        while frames := file.read(4 * length * _FRAMES_AT_ONCE):
            frames = frames[: len(frames) // (4 * length) * 4 * length]
            if not frames:
                break
            heads = np.frombuffer(frames, ">u4").reshape(-1, length)[:, :_FRAME_HEADER]
            words = np.frombuffer(frames, order).reshape(-1, length)
            salts = heads[0, 2:4] if salts is None else salts
            summed = np.concatenate([words[:, :2], words[:, _FRAME_HEADER:]], axis=1)
            chain = np.concatenate([before[None], heads[:-1, 4:6]])
            current.append((heads[:, 2:4] == salts).all(axis=1))
            whole.append((_sums(summed, chain) == heads[:, 4:6]).all(axis=1) & current[-1] & intact)
            ends.append(heads[:, 1] != 0)
            before = heads[-1, 4:6]
        file.seek(0)
        if not whole or file.read(4 * _HEADER) != first:  # a process has restarted the log meanwhile, so it is in use
            return 0
    damaged = np.flatnonzero(~np.concatenate(whole))
    if not damaged.size:
        return 0
    follow = np.concatenate(current)[damaged[0] :]
    return int((follow & np.concatenate(ends)[damaged[0] :]).sum()) if follow[1:].any() or not intact else 0


def _sums(words: "Words", before: "Words") -> "Words":
    """Return SQLite's checksums (s += x + t; t += y + s) of rows of words, each row continuing its pair in `before`."""
    import numpy as np

    of_words, of_before = _weights(words.shape[1])
    # In halves of 16 bits, which floating point holds exactly, and BLAS multiplies ten times as fast as integers.
    low, high = (words & 0xFFFF).astype(np.float64), (words >> 16).astype(np.float64)
    of_low, of_high = (of_words & 0xFFFF).astype(np.float64), (of_words >> 16).astype(np.float64)
    carried = (high @ of_low + low @ of_high).astype(np.uint64) << np.uint64(16)
    added = (low @ of_low).astype(np.uint64) + carried
    sums: Words = added.astype(np.uint32) + before.astype(np.uint32) @ of_before
    return sums


@lru_cache
def _weights(count: int) -> "tuple[Words, Words]":
    """Return the weights in a checksum, modulo 2**32, of `count` words and of the two numbers before them."""
    import numpy as np

    step = np.array([[1, 1], [1, 2]], np.uint32)
    power = np.eye(2, dtype=np.uint32)
    weights = np.empty((count, 2), np.uint32)
    for place in range(count - 2, -1, -2):
        weights[place] = power @ np.array([1, 1], np.uint32)
        weights[place + 1] = power @ np.array([0, 1], np.uint32)
        power = power @ step
    return weights, power.T.copy()
