"""One lock for what ships from a spool and what erases, over all processes of a machine."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mlops_dagster.errors import StorageError


@contextmanager
def shipping_lock(spool: Path, *, alone: bool) -> Iterator[None]:
    """Held together with others, or alone; waits for it. It is gone with the process that holds it."""
    path = spool.with_name(f"{spool.name}-shipping")
    try:
        file = path.open("ab")
    except OSError as error:
        raise StorageError(f"cannot open {path} ({error.strerror}); make the folder writable") from error
    with file:
        fcntl.flock(file, fcntl.LOCK_EX if alone else fcntl.LOCK_SH)
        yield
