"""The body of a request, read no further than is allowed."""

import zlib

from starlette.types import Receive

from mlops_dagster.errors import InvalidInputError, TooLargeError
from mlops_dagster.serving.options import Headers
from mlops_dagster.serving.tensors import shown

# How zlib is told what is before the compressed data.
_CONTAINERS = {b"gzip": 16 + zlib.MAX_WBITS, b"deflate": zlib.MAX_WBITS}


async def read_body(headers: Headers, receive: Receive, limit: int) -> bytes:
    """The whole body, uncompressed; never more than `limit` bytes are in memory.

    Raises TooLargeError, as soon as that shows; InvalidInputError if it ends too early or is not compressed as the
    header Content-Encoding says.
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
    body, encoding = b"".join(parts), headers.get(b"content-encoding", b"identity")
    return body if encoding == b"identity" else _uncompressed(body, encoding, limit)


def _uncompressed(body: bytes, encoding: bytes, limit: int) -> bytes:
    if encoding not in _CONTAINERS:
        raise InvalidInputError(f"Content-Encoding {shown(encoding)} is not supported; use gzip, deflate, or none")
    decompressor = zlib.decompressobj(_CONTAINERS[encoding])
    try:
        plain = decompressor.decompress(body, limit + 1)
    except zlib.error as error:
        raise InvalidInputError(f"the body is not {encoding.decode()}: {error}") from error
    if len(plain) > limit:
        raise TooLargeError(f"the body, uncompressed, has more than the {limit} bytes that this server takes")
    if not decompressor.eof or decompressor.unused_data:
        raise InvalidInputError(f"the body is not one whole {encoding.decode()} stream")
    return plain
