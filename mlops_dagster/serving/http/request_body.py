"""Reading of request bodies, within a limit."""

import zlib

from starlette.types import Receive

from mlops_dagster.errors import InvalidInputError, TooLargeError
from mlops_dagster.serving.protocol.request_parameters import Headers
from mlops_dagster.serving.protocol.tensors import shown

# zlib's codes for the header that precedes the compressed data.
_CONTAINERS = {"gzip": 16 + zlib.MAX_WBITS, "x-gzip": 16 + zlib.MAX_WBITS, "deflate": zlib.MAX_WBITS}
_PIECE = 64 * 1024
_MOST_MEMBERS = 1_000  # of a gzip stream: each costs the same, even if there is nothing in it


async def read_body(headers: Headers, receive: Receive, limit: int) -> bytes:
    """Return the whole body, uncompressed; never more than `limit` bytes of it are in memory.

    Raises TooLargeError as soon as the body turns out to be larger; InvalidInputError if it ends too early, or is not
    compressed as the header Content-Encoding says.
    """
    announced = headers.get(b"content-length", b"")
    if announced.isdigit() and (len(announced) > 18 or int(announced) > limit):
        raise TooLargeError(f"the body has {shown(announced.decode())} bytes; this server takes up to {limit}")
    parts: list[bytes] = []
    size, more = 0, True
    while more:
        message = await receive()
        if message["type"] != "http.request":
            raise InvalidInputError(f"the connection was closed after {size} bytes of the body")
        parts.append(message.get("body", b""))
        size += len(parts[-1])
        if size > limit:
            raise TooLargeError(f"the body has more than the {limit} bytes that this server takes")
        more = message.get("more_body", False)
    encoding = headers.get(b"content-encoding", b"identity").decode("latin-1").strip().lower()
    return b"".join(parts) if encoding in ("identity", "") else _uncompressed(b"".join(parts), encoding, limit)


def _uncompressed(body: bytes, encoding: str, limit: int) -> bytes:
    if encoding not in _CONTAINERS:
        raise InvalidInputError(f"Content-Encoding {shown(encoding)} is not supported; use gzip, deflate, or none")
    parts: list[bytes] = []
    room, members = limit + 1, 1
    decompressor = zlib.decompressobj(_CONTAINERS[encoding])
    try:
        for begin in range(0, len(body), _PIECE):
            rest = body[begin : begin + _PIECE]
            while rest and room:
                if decompressor.eof:
                    if encoding == "deflate" or members == _MOST_MEMBERS:
                        raise InvalidInputError(f"after {members} {encoding} streams the body goes on; send one")
                    decompressor = zlib.decompressobj(_CONTAINERS[encoding])
                    members += 1
                parts.append(decompressor.decompress(rest, room))
                room -= len(parts[-1])
                rest = decompressor.unused_data
    except zlib.error as error:
        raise InvalidInputError(f"the body is not {encoding}: {error}") from error
    if not room:
        raise TooLargeError(f"the body, uncompressed, has more than the {limit} bytes that this server takes")
    if not decompressor.eof:
        raise InvalidInputError(f"the body is not one whole {encoding} stream")
    return b"".join(parts)
