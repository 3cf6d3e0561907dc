"""Strict stand-ins for vendors' servers: in the process, with faults on demand, or on loopback."""

import json
import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Protocol

import httpx


@dataclass(frozen=True)
class Asked:
    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        try:
            return json.loads(self.body)
        except ValueError:
            raise Refused(400, "the body is not JSON") from None


@dataclass(frozen=True)
class Reply:
    status: int
    json: Any = None
    headers: dict[str, str] = field(default_factory=dict)


class Refused(Exception):  # noqa: N818  # what it is
    """The vendor's documents do not allow it."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status, self.message = status, message


def need(condition: object, message: str, status: int = 400) -> None:
    if not condition:
        raise Refused(status, message)


class Server(Protocol):
    refused: list[str]

    def answer(self, asked: Asked, /) -> Reply: ...


def reply_of(server: Server, asked: Asked) -> Reply:
    try:
        return server.answer(asked)
    except Refused as refused:
        server.refused.append(refused.message)
        return Reply(refused.status, {"message": refused.message})


class Killed(BaseException):
    """The death of the process that sends."""


class Network(httpx.BaseTransport):
    """Servers by host, in this process; `fault` says what happens to the next request, None for nothing.

    cut_before: the connection is refused; cut_after: the server does it, and the answer is lost; kill_before and
    kill_after: the sender dies, before or after the server did it; a Reply is given instead of asking the server.
    """

    def __init__(self, servers: dict[str, Server]) -> None:
        self.servers = servers
        self.fault: Callable[[Asked], str | Reply | None] = lambda asked: None
        self.requests: list[tuple[str, Asked]] = []

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        url = request.url
        headers = {name.lower(): text for name, text in request.headers.items()}
        asked = Asked(request.method, url.path, dict(url.params), headers, request.read())
        self.requests.append((url.host, asked))
        fault = self.fault(asked)
        if fault == "cut_before":
            raise httpx.ConnectError("Connection refused", request=request)
        if fault == "kill_before":
            raise Killed
        reply = fault if isinstance(fault, Reply) else reply_of(self.servers[url.host], asked)
        if fault == "kill_after":
            raise Killed
        if fault == "cut_after":
            raise httpx.ReadError("Connection reset by peer", request=request)
        return httpx.Response(reply.status, headers=reply.headers, json=reply.json)


@contextmanager
def on_loopback(server: Server, faults: random.Random | None = None) -> Iterator[str]:
    """The address of the server; with `faults` a tenth of the requests each fail before and after they were taken."""
    lock = threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _serve(self) -> None:
            path, _, query = self.path.partition("?")
            pairs = dict(httpx.QueryParams(query))
            size = int(self.headers.get("content-length", 0 if self.command == "GET" else -1))
            body = self.rfile.read(max(size, 0))
            if len(body) != size:  # the sender was killed in the middle of its request
                self.close_connection = True
                return
            headers = {name.lower(): text for name, text in self.headers.items()}
            asked = Asked(self.command, path, pairs, headers, body)
            with lock:
                draw = 1.0 if faults is None else faults.random()
                if draw < 0.1:
                    self.close_connection = True
                    return
                reply = Reply(503) if 0.2 <= draw < 0.25 else reply_of(server, asked)
            if draw < 0.2:
                self.close_connection = True
                return
            text = b"" if reply.json is None else json.dumps(reply.json).encode()
            self.send_response(reply.status)
            for name, value in {**reply.headers, "content-length": str(len(text))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(text)

        do_GET = do_POST = do_PATCH = _serve  # noqa: N815

        def log_message(self, *arguments: object) -> None:
            pass

    class Quiet(ThreadingHTTPServer):
        def handle_error(self, *_: object) -> None:
            """A client that is killed is no error of the server."""

    served = Quiet(("127.0.0.1", 0), Handler)
    served.daemon_threads = True
    thread = threading.Thread(target=served.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{served.server_port}"
    finally:
        served.shutdown()
        thread.join()
        served.server_close()


def wait_until(condition: Callable[[], bool], seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)
