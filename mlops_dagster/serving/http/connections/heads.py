"""Heads of requests, as the parser reads them, changed where a caller's wording would mislead the server."""

from collections.abc import Iterable, Sequence

import httptools

RawHeaders = Sequence[tuple[bytes, bytes]]
"""Names in lower case, and values."""


def without_offer(parser: httptools.HttpRequestParser, target: bytes, headers: Iterable[tuple[bytes, bytes]]) -> bytes:
    """Return the head without its offer to change to another protocol (WebSocket, or h2c from Java's clients).

    Offers are ignored, but the parser would not read the body of a request that has one.
    """
    lines = [b"%b %b HTTP/%b" % (parser.get_method(), target, parser.get_http_version().encode())]
    for name, value in headers:
        if name == b"connection":
            tokens = [token.strip() for token in value.lower().split(b",")]
            lines.append(b"connection: " + b", ".join(token for token in tokens if token != b"upgrade"))
        elif name != b"upgrade":
            lines.append(b"%b: %b" % (name, value))
    return b"\r\n".join([*lines, b"\r\n"])


def with_host_of_target(target: bytes, headers: RawHeaders) -> RawHeaders:
    """Return the headers with Host replaced by the host of the target, if that is an absolute URL (RFC 9112)."""
    url = httptools.parse_url(target)
    if not url.host:
        return headers
    host = b"%b:%d" % (url.host, url.port) if url.port else url.host
    return [*(header for header in headers if header[0] != b"host"), (b"host", host)]
