"""Access control: callers need a token where tokens exist; without tokens, only this machine is served."""

import logging
import time
from collections.abc import Mapping
from ipaddress import ip_address
from typing import TYPE_CHECKING

from mlops_dagster.access.token_file import TokenFile
from mlops_dagster.access.tokens import Scope, Token, find
from mlops_dagster.errors import CorruptedError, ForbiddenError, RefusedError, StorageError, UnauthenticatedError

if TYPE_CHECKING:
    from mlops_dagster.settings import Settings

logger = logging.getLogger(__name__)

LOOK_SECONDS = 0.5


class Access:
    """The tokens in force, following the home's file of them; those last known stay in force while it is unreadable.

    `host` is the address that the server listens on. Raises RefusedError where an address that others reach would be
    served without tokens; CorruptedError, StorageError.
    """

    def __init__(self, settings: "Settings", host: str) -> None:
        self._file = TokenFile(settings.tokens_path)
        self._open = settings.allow_anonymous or is_loopback(host)
        self._state = self._file.state()
        self._tokens = self._file.read()
        self._looked_at = time.monotonic()
        if self._tokens is None and not self._open:
            raise RefusedError(
                f"{host} can be reached by others, and there is no token: `mlops tokens create` makes one; "
                "set MLOPS_ALLOW_ANONYMOUS=true only on a network that is yours alone"
            )

    def needs_tokens(self) -> bool:
        """Return whether every caller needs a token, by the last look at the file."""
        return self._tokens is not None or not self._open

    def check(self, headers: Mapping[bytes, bytes], scope: Scope | None = None) -> str | None:
        """Return the name of a request's token, or None where none is needed; with `scope` None any token is enough.

        Raises UnauthenticatedError, ForbiddenError.
        """
        if time.monotonic() - self._looked_at > LOOK_SECONDS:
            self._look()
        if not self.needs_tokens():
            return None
        token = self._token(headers.get(b"authorization"))
        if scope is not None and scope not in token.scopes:
            raise ForbiddenError(f"the token {token.name!r} is for {', '.join(token.scopes)}, not for {scope}")
        return token.name

    def _token(self, authorization: bytes | None) -> Token:
        if authorization is None:
            raise UnauthenticatedError("a token is needed: send the header `Authorization: Bearer TOKEN`")
        kind, _, secret = authorization.partition(b" ")
        token = find(self._tokens or (), secret.strip().decode(errors="replace"))
        if kind.lower() != b"bearer" or token is None:
            raise UnauthenticatedError("the token is not known, or was revoked; `mlops tokens create` makes one")
        return token

    def _look(self) -> None:
        self._looked_at = time.monotonic()
        try:
            state = self._file.state()
            if state != self._state:
                self._tokens = self._file.read()
                self._state = state
        except (CorruptedError, StorageError):
            logger.exception("the last known tokens stay in force")


def is_loopback(host: str) -> bool:
    """Return whether only this machine can reach the address.

    >>> [is_loopback(host) for host in ("localhost", "127.0.0.1", "::1", "0.0.0.0", "example.org")]
    [True, True, True, False, False]
    """
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
