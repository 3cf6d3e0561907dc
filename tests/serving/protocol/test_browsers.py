"""What the page of somebody else can make a browser send to this machine: nothing of it is done, or told."""

import asyncio
from pathlib import Path

import pytest
from starlette.types import Message, Receive, Scope, Send

from mlops_dagster.access import Access
from mlops_dagster.serving.http.browsers import OwnPagesOnly
from mlops_dagster.settings import Settings
from tests.support.serving.attacks import ask
from tests.support.serving.data_plane import Models, Server, request

MODEL = "browsed"
INFER, FEEDBACK, FLUSH = f"/v2/models/{MODEL}/infer", f"/v1/models/{MODEL}/feedback", "/v1/flush"
READS = ("/v2", "/v2/health/live", "/v2/health/ready", f"/v2/models/{MODEL}", "/metrics", "/openapi.json")
JSON = {"content-type": "application/json"}


@pytest.fixture(scope="module")
def ready(server: Server, models: Models) -> Server:
    models.champion(MODEL)
    server.wait_in_force(models.stores, MODEL)
    return server


FOREIGN = {
    "a form": ({"content-type": "application/x-www-form-urlencoded"}, 415),
    "a form with files": ({"content-type": "multipart/form-data; boundary=x"}, 415),
    "a form of text": ({"content-type": "text/plain"}, 415),
    "text that is called JSON": ({"content-type": "text/plain; application/json"}, 415),
    "two types": ({"content-type": "application/json, text/plain"}, 415),
    "another page": (JSON | {"origin": "http://evil.example"}, 403),
    "another port of this machine": (JSON | {"origin": "http://localhost:3000"}, 403),
    "a page without a name": (JSON | {"origin": "null"}, 403),
    "a blob without a type, of another page": ({"origin": "https://evil.example"}, 403),
    "rebinding": (JSON | {"host": "evil.example:8080", "origin": "http://evil.example:8080"}, 403),
    "rebinding without an origin": (JSON | {"host": "evil.example"}, 403),
    "a name that begins like ours": (JSON | {"host": "localhost.evil.example"}, 403),
    "a name that ends like ours": (JSON | {"host": "evil.localhost"}, 403),
    "an address of another machine": (JSON | {"host": "10.1.2.3:8080"}, 403),
    "a user": (JSON | {"host": "localhost@evil.example"}, 403),
    "a name that a proxy forwards": (JSON | {"host": "evil.example", "x-forwarded-host": "localhost"}, 403),
    "no name": (JSON | {"host": ""}, 403),
}


@pytest.mark.parametrize("what", FOREIGN)
def test_no_write_of_a_foreign_page_is_done(ready: Server, what: str) -> None:
    headers, status = FOREIGN[what]
    before = ready.client.get("/metrics").text.count("mlops_requests_total")
    bodies: dict[str, object] = {INFER: request(), FEEDBACK: {"labels": []}, FLUSH: {}, "/v2": {}, "/nothing": {}}
    for path, body in bodies.items():
        answer = ready.client.post(path, json=body, headers=headers)
        assert answer.status_code == status, (path, answer.text)
        assert answer.json()["code"] == {403: "foreign_request", 415: "unsupported_content"}[status]
    assert ready.client.get("/metrics").text.count("mlops_requests_total") == before


def test_nothing_is_told_to_a_page_under_another_name(ready: Server) -> None:
    for path in READS:
        assert ready.client.get(path).status_code == 200
        assert ready.client.get(path, headers={"host": "evil.example"}).json()["code"] == "foreign_request"


def test_nobody_is_told_that_it_may_ask_from_elsewhere(ready: Server) -> None:
    asked = {"origin": "http://evil.example", "access-control-request-method": "POST"}
    for path in (INFER, FEEDBACK, FLUSH, *READS):
        for answer in (ready.client.options(path, headers=asked), ready.client.get(path, headers=asked)):
            assert not [name for name in answer.headers if name.startswith("access-control-")]


def test_clients_that_are_no_browser_go_on(ready: Server) -> None:
    port = ready.address["port"]
    for headers in (
        JSON,
        {"content-type": "Application/JSON; charset=utf-8"},
        {"content-type": "application/octet-stream"},
        JSON | {"host": "LOCALHOST."},
        JSON | {"host": "[::1]:80"},
        JSON | {"host": "127.0.0.2"},
        JSON | {"host": f"localhost:{port}", "origin": f"http://localhost:{port}"},
    ):
        assert ready.client.post(INFER, json=request(), headers=headers).status_code == 200, headers
    assert ready.client.post(FLUSH).status_code == 200, "without a body there is no type either"
    assert b" 200 OK" in ask(port, b"GET /v2/health/live HTTP/1.0\r\n\r\n"), "as some load balancers probe"


@pytest.mark.parametrize(
    ("head", "status"),
    [
        (b"GET /v2 HTTP/1.1\r\n", b"400"),
        (b"GET /v2 HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\n", b"400"),
        (b"GET http://evil.example/v2 HTTP/1.1\r\nHost: localhost\r\n", b"403"),
        (b"GET http://localhost/v2 HTTP/1.1\r\nHost: evil.example\r\n", b"200"),
        (b"POST /v1/flush HTTP/1.1\r\nHost: localhost\r\nOrigin: http://localhost\r\nOrigin: http://evil\r\n", b"403"),
        (b"POST /v1/flush HTTP/1.1\r\nHost: localhost\r\nContent-Type: text/plain\r\nContent-Type:\r\n", b"415"),
    ],
)
def test_what_is_said_twice_or_in_another_way_changes_nothing(ready: Server, head: bytes, status: bytes) -> None:
    answer = ask(ready.address["port"], head + b"Connection: close\r\n\r\n")
    assert answer.split()[1] == status, answer


@pytest.mark.parametrize(
    ("settings", "host", "origin", "status"),
    [
        ({"host": "10.0.0.7"}, "10.0.0.7:8080", None, 200),
        ({"host": "10.0.0.7"}, "10.0.0.8:8080", None, 403),
        ({"host": "ML.example"}, "ml.example.", None, 200),
        ({"host": "0.0.0.0"}, "192.168.0.2:30080", None, 200),  # noqa: S104  # not bound
        ({"host": "::"}, "[fd00::7]:8080", None, 200),
        ({"host": "0.0.0.0"}, "serving:8080", None, 403),  # noqa: S104  # not bound
        ({"host": "0.0.0.0", "allowed_hosts": "serving, ml.example"}, "serving:8080", None, 200),  # noqa: S104  # not bound
        ({"allowed_hosts": "ml.example"}, "localhost", "https://ml.example", 200),
        ({"allowed_hosts": "ml.example"}, "localhost", "https://ml.example.evil", 403),
        ({"allowed_hosts": "ml.example"}, "ml.example", "ftp://ml.example", 403),
    ],
)
def test_the_names_it_goes_by_are_its_address_and_those_that_are_set(
    tmp_path: Path, settings: dict[str, str], host: str, origin: str | None, status: int
) -> None:
    """Where no token is needed; with tokens it may go by any name."""
    its = Settings.model_validate({"home": tmp_path, "allow_anonymous": True, **settings})
    headers = [(b"host", host.encode()), *([] if origin is None else [(b"origin", origin.encode())])]
    assert _status(its, headers) == status
    (tmp_path / "tokens.json").write_text("[]")
    assert _status(its, headers) == (200 if origin is None else status)


def _status(settings: Settings, headers: list[tuple[bytes, bytes]]) -> int:
    sent: list[Message] = []

    async def app(_scope: Scope, _receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200})

    async def receive() -> Message:
        return {"type": "http.request"}

    async def send(message: Message) -> None:
        sent.append(message)

    scope = {"type": "http", "method": "POST", "http_version": "1.1", "headers": headers}
    asyncio.run(OwnPagesOnly(app, Access(settings, settings.host), settings)(scope, receive, send))
    status: int = sent[0]["status"]
    return status
