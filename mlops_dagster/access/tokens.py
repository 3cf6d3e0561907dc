"""Bearer tokens and their scopes, kept as hashes in one file of the home."""

import fcntl
import hashlib
import hmac
import os
import re
import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from mlops_dagster.errors import ConflictError, CorruptedError, InvalidInputError, NotFoundError, StorageError
from mlops_dagster.storage.durable import sync

if TYPE_CHECKING:
    from pydantic import TypeAdapter

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,99}")
# By this prefix a scanner finds a token that was published by mistake.
_PREFIX = "mlops_"


class Scope(StrEnum):
    """A kind of request that a token allows; any scope allows the reading of metadata and metrics.

    READ is for the control room.
    """

    INFER = "infer"
    FEEDBACK = "feedback"
    ADMIN = "admin"
    READ = "read"


@dataclass(frozen=True)
class Token:
    """The record of a token; the token itself is known to its owner only."""

    name: str
    scopes: tuple[Scope, ...]
    sha256: str
    """The hash of the token: 256 random bits need no slower one."""
    created_at: datetime
    created_by: str


class TokenFile:
    """The tokens of one home. Any process may change them; each change replaces the file as a whole."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def read(self) -> tuple[Token, ...] | None:
        """Return the tokens, or None if no token was ever made. Raises CorruptedError, StorageError."""
        from pydantic import ValidationError

        try:
            return _adapter().validate_json(self._path.read_bytes())
        except FileNotFoundError:
            return None
        except OSError as error:
            raise StorageError(f"cannot read {str(self._path)!r} ({error.strerror}); make it readable") from error
        except ValidationError as error:
            raise CorruptedError(
                f"{str(self._path)!r} holds no tokens ({error.error_count()} mistakes); restore it from a backup, "
                "or remove it and make new tokens"
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

    def create(self, name: str, scopes: Sequence[Scope], *, at: datetime, by: str) -> str:
        """Make and return a new token, which is not kept. Raises InvalidInputError; ConflictError for a taken name."""
        if not _NAME.fullmatch(name):
            raise InvalidInputError(f"{name!r} cannot name a token: use letters, digits, '.', '_', '@' and '-'")
        if not scopes:
            raise InvalidInputError(f"a token is for something: {', '.join(Scope)}")
        secret = _PREFIX + secrets.token_urlsafe(32)
        token = Token(
            name=name,
            scopes=tuple(scope for scope in Scope if scope in scopes),
            sha256=_hash(secret),
            created_at=at,
            created_by=by,
        )
        with self._changing() as tokens:
            if any(other.name == name for other in tokens):
                raise ConflictError(f"there is a token {name!r} already; revoke it first, or choose another name")
            self._replace([*tokens, token])
        return secret

    def revoke(self, name: str) -> None:
        """Remove a token; raises NotFoundError."""
        with self._changing() as tokens:
            left = [token for token in tokens if token.name != name]
            if len(left) == len(tokens):
                raise NotFoundError(f"no token {name!r}; `mlops tokens list` shows what there is")
            self._replace(left)

    @contextmanager
    def _changing(self) -> Iterator[tuple[Token, ...]]:
        """Hold the lock of the file, and give the tokens, which no other process changes meanwhile."""
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with self._path.with_suffix(".lock").open("w") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX)
                yield self.read() or ()
        except OSError as error:
            if isinstance(error, StorageError):
                raise
            raise StorageError(f"cannot write {str(self._path)!r} ({error.strerror}); make it writable") from error

    def _replace(self, tokens: Sequence[Token]) -> None:
        unfinished = self._path.with_suffix(".tmp")
        descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(_adapter().dump_json(tuple(tokens), indent=2))
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(self._path)
        sync(self._path.parent)  # after a loss of power, too, a revoked token stays revoked


def find(tokens: Sequence[Token], secret: str) -> Token | None:
    """Return the token whose secret this is, else None; a wrong secret takes as long as a right one."""
    wanted, found = _hash(secret), None
    for token in tokens:
        if hmac.compare_digest(token.sha256, wanted):
            found = token
    return found


@cache
def _adapter() -> "TypeAdapter[tuple[Token, ...]]":
    from pydantic import TypeAdapter

    return TypeAdapter(tuple[Token, ...])


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode(errors="replace")).hexdigest()
