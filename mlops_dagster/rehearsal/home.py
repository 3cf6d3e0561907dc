"""The folder of a rehearsal: emptied each time, used by one rehearsal at a time, and never one with other files."""

import fcntl
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mlops_dagster.errors import AlreadyRunningError, InvalidInputError
from mlops_dagster.serving.processes import home_lock
from mlops_dagster.settings import Settings
from mlops_dagster.storage.home import make_writable

LOCK = "rehearsal.lock"
"""The name of the lock file, which also marks a folder that a later rehearsal may empty."""


@contextmanager
def fresh_home(home: Path) -> Iterator[Path]:
    """Empty `home` and hold its lock until the end of the block.

    Raises HomeNotWritableError, AlreadyRunningError if a rehearsal or a server runs there, and InvalidInputError if the
    folder has files but no lock file of a rehearsal.
    """
    if home.is_dir() and any(home.iterdir()) and not (home / LOCK).exists():
        raise InvalidInputError(
            f"{str(home)!r} is not empty and was not made by a rehearsal, which begins by emptying its home; "
            "choose another folder with --home"
        )
    settings = Settings(home=home)
    make_writable(settings.home)
    with (home / LOCK).open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise AlreadyRunningError(
                f"a rehearsal runs in {str(home)!r}; wait for it, stop it, or choose another folder with --home"
            ) from error
        with home_lock.only_server(settings):
            _empty(home)
        yield home.absolute()


def _empty(home: Path) -> None:
    for entry in home.iterdir():
        if entry.name in (LOCK, home_lock.LOCK):
            continue
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry)
        else:
            entry.unlink()
