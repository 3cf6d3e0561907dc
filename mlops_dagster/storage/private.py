"""Permissions of a home, which holds data of people: only the owner may read its folders and files."""

import logging
import os
import stat
from itertools import chain
from pathlib import Path

logger = logging.getLogger(__name__)

PRIVATE = 0o077
"""The permission bits of users other than the owner, which files of a home lack."""

# The entries of a home. A folder that is used for other things as well has more entries than these.
_OURS = ("*.sqlite*", "tokens.*", "serving.json", "artifacts", "log", "quarantine", "batch_scores", "trials")


def write_privately() -> None:
    """Let this process make files of mode 600 and folders of 700 from now on.

    The umask is the only setting that other libraries (Delta Lake, SQLite, DuckDB, Dagster) obey when they write.
    """
    os.umask(os.umask(PRIVATE) | PRIVATE)


def tighten(home: Path, *, alone: bool) -> None:
    """Close a home, and all that it holds, to all users but its owner; log the files that cannot be closed.

    If other users could not enter the home, only the entries at its top are checked. Unless the home is `alone` in its
    folder, only our own entries are checked, and the folder stays open.
    """
    alone = alone and not home.stat().st_mode & stat.S_ISVTX  # a shared folder such as /tmp must stay open
    tightened, failed = 0, []
    for path in _entries(home, alone=alone):
        try:
            mode = stat.S_IMODE(path.stat().st_mode)
            if mode & PRIVATE:
                path.chmod(mode & ~PRIVATE)
                tightened += 1
        except FileNotFoundError:  # such as a log of SQLite that another process has removed
            continue
        except OSError as error:
            failed.append(f"{path} ({error.strerror})")
    if tightened:
        logger.warning("%d files and folders of %s were open to other users; now they are not", tightened, home)
    if failed:
        logger.warning(
            "%d files and folders of %s stay open to other users, such as %s; see to them as their owner",
            len(failed), home, failed[0],
        )  # fmt: skip


def _entries(home: Path, *, alone: bool) -> list[Path]:
    """Return the paths to close, the home last: if the process is killed before, the next one checks them all again."""
    top = home.iterdir() if alone else chain.from_iterable(map(home.glob, _OURS))
    found = [entry for entry in top if not entry.is_symlink()]
    if home.stat().st_mode & PRIVATE:
        below = chain.from_iterable(folder.rglob("*") for folder in found if folder.is_dir())
        found += [each for each in below if not each.is_symlink()]
    return [*found, home] if alone else found
