"""A lock between the processes of one machine that ship from a spool and those that erase."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mlops_dagster.errors import StorageError


@contextmanager
def shipping_lock(spool: Path, *, alone: bool) -> Iterator[None]:
    """Hold the lock, shared or alone, until the end of the block; wait for it. It ends with its process."""
    path = spool.with_name(f"{spool.name}-shipping")
    try:
        file = path.open("ab")
    except OSError as error:
        raise StorageError(f"cannot open {path} ({error.strerror}); make the folder writable") from error
    with file:
        fcntl.flock(file, fcntl.LOCK_EX if alone else fcntl.LOCK_SH)
        yield
