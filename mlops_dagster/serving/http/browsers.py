"""Protection from foreign web pages that send requests through the browser of a person who has access."""

import re
from functools import lru_cache
from ipaddress import ip_address

from starlette.types import ASGIApp, Receive, Scope, Send

from mlops_dagster.errors import ForeignRequestError, InvalidInputError, MlopsError, UnsupportedContentError
from mlops_dagster.serving.http.auth import Access, is_loopback
from mlops_dagster.serving.http.responses import error_response
from mlops_dagster.serving.protocol.tensors import shown
from mlops_dagster.settings import Settings

_READS = frozenset({"GET", "HEAD", "OPTIONS"})
_AUTHORITY = re.compile(r"(\[[0-9a-f:.]+\]|[^\[\]:@/\\?#\s]+)(?::[0-9]*)?")
_WILDCARDS = frozenset({"0.0.0.0", "::"})  # noqa: S104  # not bound here


class OwnPagesOnly:
    """Middleware that refuses requests which a foreign web page may have made a browser send.

    - A page whose owner lets its name point to this machine (DNS rebinding) is recognized by the header Host. A page
      cannot send a token that it does not know, so the header is checked only where tokens are not needed.
    - A page of another origin is recognized by the header Origin, which browsers send with every POST.
    - Older browsers sent no Origin with a form. Before they send a type of content other than the three that a form may
      have, they ask for permission, which the data plane does not give; so only JSON and binary tensors are taken.
    """

    def __init__(self, app: ASGIApp, access: Access, settings: Settings) -> None:
        self._app = app
        self._access = access
        self._own = Names(settings)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            try:
                self._check(scope)
            except MlopsError as error:
                await error_response(error)(scope, receive, send)
                return
        await self._app(scope, receive, send)

    def _check(self, scope: Scope) -> None:
        host: bytes | None = None
        origin: bytes | None = None
        kinds: list[bytes] = []
        for name, value in scope["headers"]:
            if name == b"host":
                if host is not None:
                    raise InvalidInputError("the request has two headers Host; send one")
                host = value
            elif name == b"origin":
                origin = value if origin is None else b"null"
            elif name == b"content-type":
                kinds.append(value)
        if host is None and scope["http_version"] != "1.0":
            raise InvalidInputError("the request has no header Host")
        if host is not None and not self._access.needs_tokens() and not self._own.has(host):
            raise ForeignRequestError(
                f"the data plane goes by no name {shown(host.decode('latin-1'))}; set MLOPS_ALLOWED_HOSTS if it should"
            )
        if scope["method"] in _READS:
            return
        if origin is not None and not self._own.is_origin(origin, host):
            raise ForeignRequestError(
                f"pages of {shown(origin.decode('latin-1'))} may not change anything here; "
                "set MLOPS_ALLOWED_HOSTS if they should"
            )
        for kind in kinds:
            if not is_data(kind):
                raise UnsupportedContentError(
                    f"Content-Type is {shown(kind.decode('latin-1'))}; send application/json, "
                    "or application/octet-stream for binary tensors"
                )


class Names:
    """The names and addresses by which callers may reach the data plane."""

    def __init__(self, settings: Settings) -> None:
        self._any_address = settings.host in _WILDCARDS
        self._allowed = frozenset(filter(None, map(_plain, settings.allowed_hosts.split(","))))
        self._named = self._allowed | {_plain(settings.host)}
        self.has = lru_cache(maxsize=256)(self._has)  # callers use few names

    def is_origin(self, origin: bytes, host: bytes | None) -> bool:
        """Return whether a page of `origin` is ours: it came from `host` itself, or from one of MLOPS_ALLOWED_HOSTS."""
        scheme, separator, authority = origin.decode("latin-1").lower().partition("://")
        if not separator or scheme not in ("http", "https"):
            return False
        return authority == (host or b"").decode("latin-1").lower() or _name_of(authority) in self._allowed

    def _has(self, host: bytes) -> bool:
        """Return whether the value of a header Host is a name or address of ours, on any port.

        If the data plane listens on all addresses, every IP address is accepted: a stranger can let a name point to
        this machine, but not an address.
        """
        name = _name_of(host.decode("latin-1").lower())
        return name is not None and (
            name in self._named or is_loopback(name) or (self._any_address and _is_address(name))
        )


def is_data(content_type: bytes) -> bool:
    """Return whether a browser sends this type of content to other origins only after it got permission.

    >>> [is_data(b"Application/JSON; charset=utf-8"), is_data(b"text/plain;application/json")]
    [True, False]
    """
    kind = content_type.partition(b";")[0].strip().lower()
    return kind in (b"application/json", b"application/octet-stream")


def _name_of(authority: str) -> str | None:
    """Return the name or address in a lower-case `name:port`; None if the text has another form."""
    found = _AUTHORITY.fullmatch(authority)
    return _plain(found[1]) if found else None


def _plain(name: str) -> str:
    return name.strip().lower().removesuffix(".").removeprefix("[").removesuffix("]")


def _is_address(name: str) -> bool:
    try:
        ip_address(name)
    except ValueError:
        return False
    return True
