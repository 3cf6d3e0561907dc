"""The names of a server, by which requests that a foreign web page made a browser send are told from others."""

import re
from functools import lru_cache
from ipaddress import ip_address
from typing import TYPE_CHECKING

from mlops_dagster.access.access import is_loopback

if TYPE_CHECKING:
    from mlops_dagster.settings import Settings

_AUTHORITY = re.compile(r"(\[[0-9a-f:.]+\]|[^\[\]:@/\\?#\s]+)(?::[0-9]*)?")
_WILDCARDS = frozenset({"0.0.0.0", "::"})  # noqa: S104  # not bound here


class Names:
    """The names and addresses by which callers may reach a server that listens on `host`."""

    def __init__(self, settings: "Settings", host: str) -> None:
        self._any_address = host in _WILDCARDS
        self._allowed = frozenset(filter(None, map(_plain, settings.allowed_hosts.split(","))))
        self._named = self._allowed | {_plain(host)}
        self.has = lru_cache(maxsize=256)(self._has)  # callers use few names

    def is_origin(self, origin: bytes, host: bytes | None) -> bool:
        """Return whether a page of `origin` is ours: it came from `host` itself, or from one of MLOPS_ALLOWED_HOSTS."""
        scheme, separator, authority = origin.decode("latin-1").lower().partition("://")
        if not separator or scheme not in ("http", "https"):
            return False
        return authority == (host or b"").decode("latin-1").lower() or _name_of(authority) in self._allowed

    def _has(self, host: bytes) -> bool:
        """Return whether the value of a header Host is a name or address of ours, on any port.

        If the server listens on all addresses, every IP address is accepted: a stranger can let a name point to
        this machine, but not an address.
        """
        name = _name_of(host.decode("latin-1").lower())
        return name is not None and (
            name in self._named or is_loopback(name) or (self._any_address and _is_address(name))
        )


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
