"""Commits of a Delta table in a folder: synced to disk, and repaired or reported after a loss of power.

Only a log in a folder needs this: S3 keeps an object whole, or not at all.
"""

import fcntl
import logging
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import unquote

import orjson

from mlops_dagster.documents.texts import counted
from mlops_dagster.errors import CorruptedError
from mlops_dagster.storage.durable import sync, sync_files

logger = logging.getLogger(__name__)

_POINTER = "_last_checkpoint"
_MAGIC = b"PAR1"  # at both ends of a parquet file

WAY_OUT = (
    "restore the folder from a backup; or move it out of the log: the shipper begins a new one with what the spool "
    "has, and `mlops predictions audit` names what is lost"
)
"""Advice for a table that cannot be repaired."""


class Commit(NamedTuple):
    """One version of a table; `actions` is None if the file's bytes are not those that were written."""

    version: int
    file: Path
    actions: list[dict[str, Any]] | None

    def added(self) -> Mapping[Path, int]:
        """Return the files that this version added to the table, with their sizes."""
        adds = (action["add"] for action in self.actions or () if "add" in action)
        return {self._table / unquote(add["path"]): add["size"] for add in adds}

    def has_what_it_replaced(self) -> bool:
        """Return whether this version replaced files (merged ones, or a rewritten day) all of which still exist."""
        removed = [action["remove"] for action in self.actions or () if "remove" in action]
        return bool(removed) and all(_is_parquet(self._table / unquote(each["path"])) for each in removed)

    def reached(self, source: str) -> int:
        """Return the number up to which this version brought the table entries of `source`; 0 if none."""
        found = (action["txn"] for action in self.actions or () if "txn" in action)
        return max((txn["version"] for txn in found if txn["appId"] == source), default=0)

    def checkpoints(self) -> list[Path]:
        """Return the files of the checkpoint that was made of this version, if any."""
        return list(self.file.parent.glob(f"{self.version:020}.checkpoint*.parquet"))

    def lost(self) -> list[str]:
        """Return the names of files that this version added and that are missing or torn."""
        return [file.name for file, size in self.added().items() if not _is_parquet(file, size)]

    @property
    def _table(self) -> Path:
        return self.file.parent.parent


class History(NamedTuple):
    """A table's newest versions, and the newest checkpoint, which holds all versions before them."""

    checkpoint: int  # -1 if there is none
    torn: list[Path]  # newer checkpoints that cannot be read, and the pointer to one
    commits: list[Commit]  # in order

    @classmethod
    def read(cls, table: Path) -> "History":
        log = table / "_delta_log"
        checkpoint, torn = -1, []
        for file in sorted(log.glob("*.checkpoint*.parquet"), reverse=True):
            if _is_parquet(file):
                checkpoint = _version(file)
                break
            torn.append(file)
        if (pointed_to := _pointed_to(log)) is not None and not _has_checkpoint(log, pointed_to):
            torn.append(log / _POINTER)
        files = sorted(file for file in log.glob("*.json") if file.stem.isdigit() and _version(file) > checkpoint)
        return cls(checkpoint, torn, [_read(file) for file in files])

    def damage(self) -> str | None:
        """Describe the first version or checkpoint that is torn or gone; None if every version can be read."""
        for number, commit in enumerate(self.commits, self.checkpoint + 1):
            if commit.version != number:
                return f"version {number} is gone, and later ones follow"
            if commit.actions is None:
                return f"version {number} is torn"
        return f"the checkpoint {self.torn[0].name} is torn" if self.torn else None


def make_durable(table: Path, after: int, upto: int) -> None:
    """Sync the versions that follow `after`, the files that they added, and the names of both. Raises OSError.

    Versions of other writers are synced too: if one version is lost, all that follow are.
    """
    log = table / "_delta_log"
    names = [log / f"{version:020}.json" for version in range(after + 1, upto + 1)]
    commits = [_read(file) for file in names if file.exists()]
    if not commits:
        return
    sync_files(file for commit in commits for file in commit.added() if file.exists())  # otherwise compacted since
    sync(table)
    sync_files([*log.glob(_POINTER), *(file for each in commits for file in (each.file, *each.checkpoints()))])


def mend(table: Path, source: str, confirmed: int) -> None:
    """Take back the newest versions that a loss of power tore: they were never synced, so no process relies on them.

    `confirmed` is the number up to which `source` knows its entries to be in the table: those of a version that is
    taken back are still in the spool, and are appended again. A torn checkpoint is removed too: the versions before it
    are there. Raises CorruptedError, with advice, if anything else is torn.
    """
    if not (table / "_delta_log").is_dir():
        return
    with _alone(table):
        history = History.read(table)
        commits = history.commits
        while commits and _is_torn(commits[-1], source, confirmed):
            commit = commits.pop()
            _remove([commit.file])
            logger.warning(
                "version %d of the log at %s was torn, as a loss of power leaves it, and is taken back; what the spool "
                "still has of it is shipped again, and `mlops predictions audit` says if anything is missing",
                commit.version, table,
            )  # fmt: skip
        if history.torn and history._replace(torn=[]).damage() is None:
            _remove(history.torn)
            logger.warning("a torn checkpoint of the log at %s is removed; the versions before it are whole", table)
        if (found := damage(table)) is not None:
            raise CorruptedError(f"the log at {table} cannot be read: {found}; {WAY_OUT}")
        for commit in commits:
            if commit.reached(source) > confirmed and (lost := commit.lost()):
                raise CorruptedError(
                    f"version {commit.version} of the log at {table} lacks {counted(len(lost), 'files')}, gone or "
                    f"torn, and later versions follow; {WAY_OUT}"
                )


def damage(table: Path) -> str | None:
    """Describe the part of a table's history that is torn or gone; None if nothing is."""
    return History.read(table).damage()


def _is_torn(commit: Commit, source: str, confirmed: int) -> bool:
    """Return whether the newest commit can go: torn, and its rows are still in the spool or in replaced files."""
    its_rows_are_kept = commit.reached(source) > confirmed or commit.has_what_it_replaced()
    return commit.actions is None or (its_rows_are_kept and bool(commit.lost()))


def _read(file: Path) -> Commit:
    try:
        actions = [orjson.loads(line) for line in file.read_bytes().splitlines()] or None
    except orjson.JSONDecodeError:
        actions = None
    return Commit(_version(file), file, actions)


def _version(file: Path) -> int:
    return int(file.name.partition(".")[0])


def _is_parquet(file: Path, size: int | None = None) -> bool:
    """Return whether a Parquet file is there with both of its ends, and of size `size` if that is given."""
    try:
        with file.open("rb") as opened:
            found = os.fstat(opened.fileno()).st_size
            if found < 3 * len(_MAGIC) or size not in (None, found):
                return False
            first = opened.read(len(_MAGIC))
            opened.seek(-len(_MAGIC), os.SEEK_END)
            return first == opened.read() == _MAGIC
    except FileNotFoundError:
        return False


def _pointed_to(log: Path) -> int | None:
    """Return the version of the checkpoint that the pointer names; None without a readable pointer."""
    try:
        return int(orjson.loads((log / _POINTER).read_bytes())["version"])
    except (FileNotFoundError, NotADirectoryError, ValueError, KeyError, TypeError):
        return None


def _has_checkpoint(log: Path, version: int) -> bool:
    return any(map(_is_parquet, log.glob(f"{version:020}.checkpoint*.parquet")))


def _remove(files: Iterable[Path]) -> None:
    for file in files:
        file.unlink()
        sync(file.parent)


@contextmanager
def _alone(table: Path) -> Iterator[None]:
    """Lock the table's history so that one process mends at a time, or a second would take back newer versions."""
    descriptor = os.open(table / "_delta_log", os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
