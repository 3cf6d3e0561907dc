"""Bodies that no client library sends: each is refused with a reason, and each is on record."""

import asyncio
import gzip
import socket
import zlib
from datetime import timedelta
from itertools import repeat
from typing import Any

import httpx
import orjson
import pytest
from starlette.types import Message

from mlops_dagster.clock import SystemClock
from mlops_dagster.errors import TooLargeError
from mlops_dagster.serving.http.request_body import read_body
from tests.serving.protocol.conftest import MAX_BODY_BYTES
from tests.support.serving.data_plane import Models, Server, eventually, request

MODEL = "badly-asked"
PATH = f"/v2/models/{MODEL}/infer"
HOUR = timedelta(hours=1)
GOOD = orjson.dumps(request())


@pytest.fixture(scope="module")
def ready(server: Server, models: Models) -> Server:
    models.champion(MODEL)
    server.wait_in_force(models.stores, MODEL)
    return server


def rejected(server: Server, models: Models) -> list[dict[str, Any]]:
    """The records of what was refused so far, oldest first."""
    server.flush()
    now = SystemClock().now()
    columns = ["status", "error", "raw", "received_at", "prediction_id"]
    rows: list[dict[str, Any]] = models.stores.log.read(MODEL, now - HOUR, now + HOUR, columns, ("none",)).to_pylist()
    return sorted(rows, key=lambda row: row["received_at"])


def values(rows: int) -> bytes:
    return orjson.dumps({"inputs": [{"name": "a", "shape": [rows], "datatype": "INT8", "data": [1] * rows}]})


BAD = {
    "not JSON": (b"label=late", {}, 400, "is not JSON"),
    "cut off": (GOOD[:-20], {}, 400, "is not JSON"),
    "empty": (b"", {}, 400, "is not JSON"),
    "deep": (b"[" * 100_000 + b"]" * 100_000, {}, 400, "depth limit"),
    "deep value": (GOOD.replace(b"[40.0]", b"[" * 900 + b"]" * 900), {}, 400, "not FP64"),
    "surrogate": (GOOD.replace(b"AA", b"\\ud800"), {}, 400, "surrogate"),
    "not UTF-8": (GOOD.replace(b"AA", b"\xff"), {}, 400, "UTF-8"),
    "NaN": (GOOD.replace(b"40.0", b"NaN"), {}, 400, "is not JSON"),
    "huge integer": (GOOD.replace(b"1000", b"9" * 400), {}, 400, "is not JSON"),
    "integer that does not fit": (GOOD.replace(b"1000", b"9" * 30), {}, 400, "not INT64"),
    "no rows": (GOOD.replace(b'"shape":[1]', b'"shape":[0]'), {}, 400, "one row at least"),
    "negative rows": (GOOD.replace(b'"shape":[1]', b'"shape":[-1]'), {}, 400, "one row at least"),
    "shape that overflows": (
        GOOD.replace(b"[1,1]", b"[1,18446744073709551615]"),
        {},
        400,
        "nested in another way than its shape",
    ),
    "many rows": (values(10_001), {}, 400, "takes up to 10000 at once"),
    "enormous": (b" " * (MAX_BODY_BYTES + 1), {}, 413, f"takes up to {MAX_BODY_BYTES}"),
    "bomb": (gzip.compress(b" " * 10**8), {"content-encoding": "gzip"}, 413, "uncompressed, has more than"),
    "not gzip": (GOOD, {"content-encoding": "gzip"}, 400, "the body is not gzip"),
    "cut gzip": (gzip.compress(GOOD)[:-9], {"content-encoding": "gzip"}, 400, "not one whole gzip stream"),
    "two streams": (zlib.compress(GOOD) * 2, {"content-encoding": "deflate"}, 400, "after 1 deflate streams"),
    "data after gzip": (gzip.compress(GOOD) + GOOD, {"content-encoding": "gzip"}, 400, "the body is not gzip"),
    "gzip of countless streams": (
        gzip.compress(b"") * 1_001,
        {"content-encoding": "gzip"},
        400,
        "after 1000 gzip streams",
    ),
    "a bomb in its second stream": (
        gzip.compress(GOOD) + gzip.compress(b" " * 10**8),
        {"content-encoding": "x-gzip"},
        413,
        "uncompressed, has more than",
    ),
    "gzip twice": (gzip.compress(gzip.compress(GOOD)), {"content-encoding": "gzip, gzip"}, 400, "is not supported"),
    "brotli": (GOOD, {"content-encoding": "br"}, 400, "is not supported; use gzip, deflate"),
    "JSON longer than the body": (GOOD, {"inference-header-content-length": "9999"}, 400, "9999 bytes of a body"),
    "JSON of negative length": (GOOD, {"inference-header-content-length": "-5"}, 400, "not a number of bytes"),
    "arm": (GOOD, {"x-mlops-arm": "left"}, 400, "use 'champion' or 'canary'"),
}


@pytest.mark.parametrize("what", BAD)
def test_it_is_refused_with_the_reason(ready: Server, what: str) -> None:
    body, headers, status, reason = BAD[what]
    answer = ready.client.post(PATH, content=body, headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (status, "too_large" if status == 413 else "invalid_input")
    assert reason in answer.json()["error"]
    assert len(answer.content) < 1000


def test_all_of_it_is_on_record_without_what_it_says(ready: Server, models: Models) -> None:
    """Nobody knows whose it is, so no erasure would find it."""
    before = len(rejected(ready, models))
    errors = [
        ready.client.post(PATH, content=body, headers=headers).json()["code"] for body, headers, *_ in BAD.values()
    ]
    rows = rejected(ready, models)[before:]
    assert [row["error"] for row in rows] == errors
    assert {row["status"] for row in rows} == {"rejected"}
    assert {row["raw"] for row in rows} == {None}


def test_of_a_request_that_was_read_and_refused_so_much_is_kept_and_no_more(ready: Server, models: Models) -> None:
    wings = [{"name": "wings", "shape": [1], "datatype": "BYTES", "data": ["x" * 100_000]}]
    error = ready.post(PATH, {"inputs": wings}).json()["error"]
    row = rejected(ready, models)[-1]
    assert (row["error"], len(row["raw"])) == (error, 64 * 1024)


def test_a_body_of_unknown_length_is_read_no_further_than_the_limit(ready: Server) -> None:
    chunk, handed_out = b" " * 65_536, 0

    async def receive() -> Message:
        nonlocal handed_out
        handed_out += len(chunk)
        return {"type": "http.request", "body": chunk, "more_body": handed_out < 10 * MAX_BODY_BYTES}

    with pytest.raises(TooLargeError, match=f"more than the {MAX_BODY_BYTES} bytes"):
        asyncio.run(read_body({}, receive, MAX_BODY_BYTES))
    assert handed_out <= MAX_BODY_BYTES + len(chunk)

    with httpx.Client(base_url=ready.client.base_url) as client:
        answer = client.post(PATH, content=repeat(chunk, 200))
    assert (answer.status_code, answer.json()["code"]) == (413, "too_large")


def test_an_announced_length_is_refused_before_the_body_comes(ready: Server) -> None:
    with socket.create_connection(("127.0.0.1", ready.address["port"]), timeout=10) as connection:
        connection.sendall(f"POST {PATH} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {10**15}\r\n\r\n".encode())
        assert b" 413 " in connection.recv(65_536).splitlines()[0]


@pytest.mark.parametrize("encoding", ["gzip", "GZIP", "x-gzip", "X-Gzip"])
def test_gzip_is_read_however_it_is_called_and_in_however_many_streams(ready: Server, encoding: str) -> None:
    half = len(GOOD) // 2
    noise = b" " * 200_000  # more than is unpacked at once
    for body in (gzip.compress(GOOD), b"".join(map(gzip.compress, (GOOD[:half], b"", noise, GOOD[half:])))):
        answer = ready.client.post(PATH, content=body, headers={"content-encoding": encoding})
        assert answer.status_code == 200, answer.text


@pytest.mark.parametrize("path", ["/v2/", "/v2/health/live/", f"{PATH}/", f"/v2/models/{MODEL}/", "/v1/flush/"])
def test_nobody_is_sent_elsewhere(ready: Server, path: str) -> None:
    """Behind a proxy that speaks TLS it would be to http://."""
    for answer in (ready.client.get(path), ready.client.post(path, json={})):
        assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
        assert "location" not in answer.headers


def test_a_caller_that_hangs_up_is_on_record(ready: Server, models: Models) -> None:
    before = len(rejected(ready, models))
    with socket.create_connection(("127.0.0.1", ready.address["port"]), timeout=10) as connection:
        connection.sendall(
            f"POST {PATH} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\n".encode() + b" " * 10
        )
    rows = eventually(lambda: rejected(ready, models)[before:])
    assert [row["error"] for row in rows] == ["invalid_input"]
    assert ready.infer(MODEL).status_code == 200
    assert "Traceback" not in ready.log.read_text()


def test_other_bodies_are_limited_too(ready: Server) -> None:
    feedback = f"/v1/models/{MODEL}/feedback"
    for path in (feedback, "/v1/flush"):
        assert ready.client.post(path, content=b" " * (MAX_BODY_BYTES + 1)).status_code == 413
        assert ready.client.post(path, content=b"[" * 100_000).json()["code"] == "invalid_input"
    many = ready.post(feedback, {"labels": [{"prediction_id": "x", "label": "y"}] * 10_001})
    assert (many.status_code, many.json()["error"]) == (
        400,
        "there are 10001 labels; this server takes up to 10000 at once",
    )
    deep = b'{"labels": [{"prediction_id": "x", "label": "y", "at": ' + b"[" * 900 + b"]" * 900 + b"}]}"
    assert "may have a time `at`, a string" in ready.client.post(feedback, content=deep).json()["error"]
    assert "`log` must be true or false" in ready.post("/v1/flush", {"log": "yes"}).json()["error"]
