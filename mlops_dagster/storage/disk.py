"""Errors of the operating system about a disk, as errors of ours."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mlops_dagster.errors import StorageError


@contextmanager
def storage_errors(path: Path) -> Iterator[None]:
    """Raise StorageError when the block raises OSError; it names the file that the error is about, or else `path`."""
    try:
        yield
    except StorageError:
        raise
    except OSError as error:
        place = str(error.filename or path)
        raise StorageError(f"cannot read or write {place!r}: {error.strerror or error}") from error
