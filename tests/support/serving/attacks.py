"""Callers that mean harm, as bytes on sockets: shared by the tests of the front door and its soak."""

import contextlib
import resource
import select
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager

POST = b"POST /v1/flush HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
GET = b"GET /v2/health/live HTTP/1.1\r\nHost: localhost\r\n"
CHUNKED = POST + b"Transfer-Encoding: chunked\r\n\r\n"

_DESCRIPTORS = 4096


@contextmanager
def many_connections(port: int, number: int, begin: bytes = b"") -> Iterator[list[socket.socket]]:
    """So many connections that each send `begin` and then nothing. Raises the limit of descriptors of this process."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < _DESCRIPTORS <= hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (_DESCRIPTORS, hard))
    with contextlib.ExitStack() as stack:
        connections: list[socket.socket] = []
        for _ in range(number):
            connections.append(stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=20)))
            with contextlib.suppress(OSError):  # it was let go of already
                connections[-1].sendall(begin)
        yield connections


def ask(port: int, data: bytes, seconds: float = 20.0) -> bytes:
    """All that is said to `data` until the server hangs up."""
    with socket.create_connection(("127.0.0.1", port), timeout=seconds) as connection:
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            connection.sendall(data)
        return rest_of(connection)


def trickle(port: int, data: bytes, seconds: float) -> tuple[bytes, float]:
    """Send `data`, then one byte each 50 ms, until the server hangs up; what it says, and after how long it does."""
    with socket.create_connection(("127.0.0.1", port), timeout=seconds) as connection:
        begin = time.monotonic()
        connection.sendall(data)
        while not select.select([connection], [], [], 0.05)[0]:
            assert time.monotonic() - begin < seconds, "it is still waited for"
            connection.sendall(b"1")
        return rest_of(connection), time.monotonic() - begin


def rest_of(connection: socket.socket) -> bytes:
    """What comes until the other side hangs up."""
    parts = []
    with contextlib.suppress(ConnectionResetError):
        while part := connection.recv(1 << 16):
            parts.append(part)
    return b"".join(parts)


def closed(connections: list[socket.socket]) -> int:
    """How many of them the server has let go of."""
    poll = select.poll()
    for connection in connections:
        poll.register(connection, select.POLLRDHUP)
    return len(poll.poll(0))
