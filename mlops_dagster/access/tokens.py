"""Bearer tokens and their scopes, of which only hashes are kept."""

import hashlib
import hmac
import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from mlops_dagster.errors import InvalidInputError

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


def new_token(name: str, scopes: Sequence[Scope], *, at: datetime, by: str) -> tuple[str, Token]:
    """Make a token; return it, which is not kept, and its record. Raises InvalidInputError."""
    if not _NAME.fullmatch(name):
        raise InvalidInputError(f"{name!r} cannot name a token: use letters, digits, '.', '_', '@' and '-'")
    if not scopes:
        raise InvalidInputError(f"a token is for something: {', '.join(Scope)}")
    secret = _PREFIX + secrets.token_urlsafe(32)
    ordered = tuple(scope for scope in Scope if scope in scopes)
    return secret, Token(name, ordered, _hash(secret), created_at=at, created_by=by)


def find(tokens: Sequence[Token], secret: str) -> Token | None:
    """Return the token whose secret this is, else None; a wrong secret takes as long as a right one."""
    wanted, found = _hash(secret), None
    for token in tokens:
        if hmac.compare_digest(token.sha256, wanted):
            found = token
    return found


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode(errors="replace")).hexdigest()
