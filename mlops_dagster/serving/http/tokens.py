"""Bearer tokens: who may ask the data plane for what. Kept as hashes, in one file of the home."""

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
# Finds a token that somebody has published by mistake.
_PREFIX = "mlops_"


class Scope(StrEnum):
    """What a token is for. Whoever has any of them may read metadata and metrics."""

    INFER = "infer"
    FEEDBACK = "feedback"
    ADMIN = "admin"


@dataclass(frozen=True)
class Token:
    """What is kept of a token; the token itself is with its owner only."""

    name: str
    scopes: tuple[Scope, ...]
    sha256: str
    """Of the token: 256 random bits need no slower hash."""
    created_at: datetime
    created_by: str


class TokenFile:
    """The tokens of one home. Any process may change them; each change replaces the file as a whole."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def read(self) -> tuple[Token, ...] | None:
        """The tokens, or None where nobody has made one yet. Raises CorruptedError, StorageError."""
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
        """Another value after each change."""
        try:
            found = self._path.stat()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise StorageError(f"cannot read {str(self._path)!r} ({error.strerror}); make it readable") from error
        return found.st_ino, found.st_mtime_ns, found.st_size

    def create(self, name: str, scopes: Sequence[Scope], *, at: datetime, by: str) -> str:
        """A new token, shown only now. Raises InvalidInputError, ConflictError for a name that is taken."""
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
        """Forget a token; raises NotFoundError."""
        with self._changing() as tokens:
            left = [token for token in tokens if token.name != name]
            if len(left) == len(tokens):
                raise NotFoundError(f"no token {name!r}; `mlops tokens list` shows what there is")
            self._replace(left)

    @contextmanager
    def _changing(self) -> Iterator[tuple[Token, ...]]:
        """The tokens, while nobody else changes them."""
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
        sync(self._path.parent)  # what was revoked stays so


def find(tokens: Sequence[Token], secret: str) -> Token | None:
    """The token that `secret` is; takes as long for a wrong one."""
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
