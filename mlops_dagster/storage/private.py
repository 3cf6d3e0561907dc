"""Folders and files that only their owner may read: what a home holds of people."""

import logging
import os
import stat
from itertools import chain
from pathlib import Path

logger = logging.getLogger(__name__)

PRIVATE = 0o077
"""The permission bits that nobody but the owner has."""

# The entries of a home. Others may lie beside them where somebody chose a folder that has more in it.
_OURS = ("*.sqlite*", "tokens.*", "serving.json", "artifacts", "log", "quarantine", "batch_scores", "trials")


def write_privately() -> None:
    """Let this process make files of mode 600 and folders of 700 from now on.

    The umask is the only word that the writers of other libraries (Delta Lake, SQLite, DuckDB, Dagster) obey.
    """
    os.umask(os.umask(PRIVATE) | PRIVATE)


def tighten(home: Path, *, alone: bool) -> None:
    """Take a home, and what it holds, from everybody but its owner; what cannot be changed is logged.

    In a home that nobody else could enter only the entries at its top are looked at. Unless it is `alone` in its
    folder, only entries that are ours are.
    """
    alone = alone and not home.stat().st_mode & stat.S_ISVTX  # nobody closes /tmp
    tightened, failed = 0, []
    for path in _entries(home, alone=alone):
        try:
            mode = stat.S_IMODE(path.stat().st_mode)
            if mode & PRIVATE:
                path.chmod(mode & ~PRIVATE)
                tightened += 1
        except FileNotFoundError:  # such as a log of SQLite's that another process is done with
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
    """The home itself comes last: who is killed before it is closed looks at everything again."""
    top = home.iterdir() if alone else chain.from_iterable(map(home.glob, _OURS))
    found = [entry for entry in top if not entry.is_symlink()]
    if home.stat().st_mode & PRIVATE:
        below = chain.from_iterable(folder.rglob("*") for folder in found if folder.is_dir())
        found += [each for each in below if not each.is_symlink()]
    return [*found, home] if alone else found
