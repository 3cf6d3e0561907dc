"""A home's copy of the tokens, in one file: it is read at each look, and while the database is away."""

import fcntl
import os
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from mlops_dagster.access.tokens import Token
from mlops_dagster.errors import CorruptedError, StorageError
from mlops_dagster.storage.durable import sync

if TYPE_CHECKING:
    from pydantic import TypeAdapter


class TokenFile:
    """The tokens of one home. Any process may replace them; each change replaces the file as a whole."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def read(self) -> tuple[Token, ...] | None:
        """Return the tokens, or None without a file. Raises CorruptedError, StorageError."""
        from pydantic import ValidationError

        try:
            return _adapter().validate_json(self._path.read_bytes())
        except FileNotFoundError:
            return None
        except OSError as error:
            raise StorageError(f"cannot read {str(self._path)!r} ({error.strerror}); make it readable") from error
        except ValidationError as error:
            raise CorruptedError(
                f"{str(self._path)!r} holds no tokens ({error.error_count()} mistakes); remove it: "
                "it is made again from the database"
            ) from error

    def state(self) -> tuple[int, int, int] | None:
        """Return a value that changes with each change of the file; None without a file. Raises StorageError."""
        try:
            found = self._path.stat()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise StorageError(f"cannot read {str(self._path)!r} ({error.strerror}); make it readable") from error
        return found.st_ino, found.st_mtime_ns, found.st_size

    def follow(self, newest: Callable[[], Sequence[Token] | None]) -> None:
        """Make the file hold the newest tokens, or remove it if that is None.

        They are read under a lock, so that of two processes the one that reads later writes later. Raises StorageError.
        """
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with self._path.with_suffix(".lock").open("w") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX)
                tokens = newest()
                if tokens is None:
                    self._path.unlink(missing_ok=True)
                elif (content := _adapter().dump_json(tuple(tokens), indent=2)) != self._content():
                    self._replace(content)
        except OSError as error:
            if isinstance(error, StorageError):
                raise
            raise StorageError(f"cannot write {str(self._path)!r} ({error.strerror}); make it writable") from error

    def _content(self) -> bytes | None:
        try:
            return self._path.read_bytes()
        except FileNotFoundError:
            return None

    def _replace(self, content: bytes) -> None:
        unfinished = self._path.with_suffix(".tmp")
        descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(self._path)
        sync(self._path.parent)  # after a loss of power, too, a revoked token stays revoked


@cache
def _adapter() -> "TypeAdapter[tuple[Token, ...]]":
    from pydantic import TypeAdapter

    return TypeAdapter(tuple[Token, ...])
