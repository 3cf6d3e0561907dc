import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import orjson
import pytest

from mlops_dagster.errors import ServerError
from mlops_dagster.rehearsal.traffic.client import Client


class Echo(BaseHTTPRequestHandler):
    """Answers with what it got; /slow holds the first requests back, /cut hangs up, /once closes after each answer."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        content = orjson.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.path == "/slow":
            time.sleep(0.2 if content["n"] < 3 else 0)
        if self.path == "/cut":
            self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")
            self.close_connection = True
            return
        body = orjson.dumps({"path": self.path, **content})
        self.send_response(404 if self.path == "/absent" else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
        if self.path == "/once":  # without a `Connection: close` that would announce it
            self.close_connection = True

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the base class's name
        pass


class Server(ThreadingHTTPServer):
    request_queue_size = 64
    daemon_threads = True


@pytest.fixture
def client() -> Iterator[Client]:
    with Server(("127.0.0.1", 0), Echo) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        with Client("127.0.0.1", server.server_port, connections=8) as client:
            yield client
        server.shutdown()
        thread.join()


def test_answers_come_in_the_order_of_the_requests(client: Client) -> None:
    answers = client.post_all("/slow", [orjson.dumps({"n": n}) for n in range(40)])
    assert [answer.json() for answer in answers] == [{"path": "/slow", "n": n} for n in range(40)]
    assert client.post_all("/slow", []) == []


def test_a_connection_closed_behind_our_back_is_replaced(client: Client) -> None:
    for _ in range(3):
        answers = client.post_all("/once", [orjson.dumps({"n": n}) for n in range(20)])
        assert [answer.json()["n"] for answer in answers] == list(range(20))


def test_a_status_that_is_not_200_is_an_answer_and_an_error_only_when_its_json_is_asked_for(client: Client) -> None:
    (answer,) = client.post_all("/absent", [b"{}"])
    assert answer.status == 404
    with pytest.raises(ServerError, match="answered 404"):
        client.post("/absent", {})


def test_half_an_answer_is_an_error(client: Client) -> None:
    with pytest.raises(ServerError, match="hung up in the middle"):
        client.post("/cut", {})


def test_nobody_there() -> None:
    with Client("127.0.0.1", 1) as client, pytest.raises(ServerError, match=r"127\.0\.0\.1:1 cannot be reached"):
        client.post("/", {})
