"""The front door of a real data plane under attack: nobody needs a token for any of this."""

import contextlib
import itertools
import json
import re
import signal
import socket
import time
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import httpx
import psutil
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlops_dagster.errors import MlopsError
from mlops_dagster.serving.http.connections.connection import MAX_HEAD_BYTES, MAX_HEADERS, MAX_PIPELINED
from mlops_dagster.serving.http.connections.front_door import FrontDoor, Limits, Queue
from mlops_dagster.serving.http.connections.turns import PAUSE_SECONDS, Turns
from mlops_dagster.serving.processes.supervisor import listening
from mlops_dagster.settings import Settings
from mlops_dagster.stores import Stores
from tests.support.serving.attacks import CHUNKED, GET, POST, ask, closed, many_connections, rest_of, trickle
from tests.support.serving.data_plane import ForkedServer, Models, Server, children, eventually, request
from tests.support.serving.light import light_artifacts

MODEL = "besieged"
MIB = 1 << 20
Start = Callable[..., Server]


@pytest.fixture(scope="module")
def usual(start_server: Start, models: Models) -> Server:
    """One with the usual settings, where the limit of descriptors cannot be raised."""
    models.champion(MODEL)
    server = start_server(descriptors=1024)
    server.wait_in_force(models.stores, MODEL)
    return server


@pytest.fixture(scope="module")
def hasty(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One with little patience and little room."""
    folder = tmp_path_factory.mktemp("hasty")
    models = Models(Stores(Settings(home=folder / "home"), actor="test"), light_artifacts(folder))
    models.champion(MODEL)
    server = ForkedServer(
        models.stores.settings.home,
        MLOPS_HEAD_SECONDS="0.4",
        MLOPS_BODY_SECONDS="1.5",
        MLOPS_IDLE_SECONDS="1.2",
        MLOPS_MAX_BODY_BYTES=str(2 * MIB),
        MLOPS_MAX_UNFINISHED_BYTES=str(8 * MIB),
    )
    server.wait_in_force(models.stores, MODEL)
    yield server
    server.stop(signal.SIGKILL)


def status_and_code(answer: bytes) -> tuple[int, str]:
    head, _, body = answer.partition(b"\r\n\r\n")
    return int(head.split()[1]), json.loads(body)["code"]


TOO_MUCH = {
    "a head that never ends": (GET + b"X: " + b"x" * (4 * MIB), 431, "head_too_large"),
    "a name that never ends": (GET + b"x" * MIB, 431, "head_too_large"),
    "a target that never ends": (b"GET /v2?" + b"x" * MIB, 431, "head_too_large"),
    "a head that is a little too large": (GET + b"X: " + b"x" * MAX_HEAD_BYTES + b"\r\n\r\n", 431, "head_too_large"),
    "headers without end": (GET + b"X: 1\r\n" * 100_000, 431, "head_too_large"),
    "one header too many": (GET + b"X: 1\r\n" * MAX_HEADERS + b"\r\n", 431, "head_too_large"),
    "empty lines without end": (b"\r\n" * MIB, 431, "head_too_large"),
    "a chunk's extension without end": (CHUNKED + b"1;" + b"x" * MIB, 400, "invalid_input"),
    "trailers without end": (CHUNKED + b"0\r\n" + b"X: 1\r\n" * 100_000, 400, "invalid_input"),
    "chunks of one byte": (CHUNKED + b"1\r\n \r\n" * 100_000, 400, "invalid_input"),
    "a chunk without end": (CHUNKED + b"f" * MIB, 400, "invalid_input"),
    "two lengths": (POST + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}", 400, "invalid_input"),
    "a length and chunks": (POST + b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n{}", 400, "invalid_input"),
    "another protocol": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400, "invalid_input"),
    "a tunnel": (b"CONNECT evil.example:443 HTTP/1.1\r\nHost: localhost\r\n\r\n", 400, "invalid_input"),
}


@pytest.mark.parametrize("what", TOO_MUCH)
def test_it_is_refused_with_the_reason_and_the_connection_ended(usual: Server, what: str) -> None:
    data, status, code = TOO_MUCH[what]
    assert status_and_code(ask(usual.address["port"], data)) == (status, code)


def test_what_is_within_the_limits_is_answered(usual: Server) -> None:
    for data in (
        GET + b"X: 1\r\n" * (MAX_HEADERS - 2) + b"Connection: close\r\n\r\n",
        GET + b"Connection: close\r\nX: " + b"x" * (MAX_HEAD_BYTES - 200) + b"\r\n\r\n",
        GET + b"Connection: close, Upgrade\r\nUpgrade: websocket\r\n\r\n",
        POST + b"Connection: close\r\nTransfer-Encoding: chunked\r\n\r\n2;a=b\r\n{}\r\n0\r\nX: 1\r\n\r\n",
        POST + b"Connection: close\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n{}",
    ):
        assert b"HTTP/1.1 200 OK\r\n" in ask(usual.address["port"], data), data[:200]


def test_a_body_is_read_of_a_request_that_offers_another_protocol(usual: Server) -> None:
    """As Java's own client does with every first request; what follows it on the connection is read too."""
    offer = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAEAAEAAAAIAAAAA\r\n"
    wrong = b'{"log": "x"}'
    for body in (
        b"Content-Length: 12\r\n\r\n" + wrong,
        b"Transfer-Encoding: chunked\r\n\r\nc\r\n%b\r\n0\r\n\r\n" % wrong,
    ):
        answer = ask(usual.address["port"], POST + offer + body + GET + b"Connection: close\r\n\r\n")
        assert b"`log` must be true or false" in answer
        assert answer.endswith(b'{"live":true}')


def test_requests_before_a_broken_one_are_answered_first(usual: Server) -> None:
    answer = ask(usual.address["port"], POST + b"Content-Length: 0\r\n\r\n" + b"nonsense\r\n\r\n")
    assert re.findall(rb"HTTP/1.1 (\d+) ", answer) == [b"200", b"400"]
    assert b"connection: close" in answer


PIPELINED = {
    GET + b"\r\n": b"200",
    POST + b"Content-Length: 2\r\n\r\n{}": b"200",
    POST + b"Content-Length: 12\r\n\r\n" + b'"\r\n\r\nGET / "': b"400",
    CHUNKED + b"2\r\n{}\r\n0\r\n\r\n": b"200",
    GET.replace(b"health/live", b"nowhere") + b"\r\n": b"404",
}


@settings(max_examples=30)
@given(
    st.lists(st.sampled_from(sorted(PIPELINED)), min_size=1, max_size=12),
    st.lists(st.integers(1, 2000), max_size=4),
)
def test_pipelined_requests_are_answered_in_order_however_their_bytes_are_cut(
    usual: Server, requests: list[bytes], cuts: list[int]
) -> None:
    data = b"".join(requests) + GET + b"Connection: close\r\n\r\n"
    edges = sorted({0, len(data), *(cut for cut in cuts if cut < len(data))})
    with socket.create_connection(("127.0.0.1", usual.address["port"]), timeout=20) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for begin, end in itertools.pairwise(edges):
            connection.sendall(data[begin:end])
        answer = rest_of(connection)
    assert re.findall(rb"HTTP/1.1 (\d+) ", answer) == [*(PIPELINED[each] for each in requests), b"200"]


def test_no_more_chunked_requests_wait_on_one_connection_than_are_read_at_once(usual: Server) -> None:
    """Their ends are hidden by a body that looks as if it ended before."""
    answer = ask(usual.address["port"], CHUNKED + b"9\r\n{0\r\n\r\n  }\r\n" + b"0\r\n\r\n" + (GET + b"\r\n") * 500)
    assert 1 <= answer.count(b"HTTP/1.1 200 OK") <= 1 + MAX_PIPELINED
    assert b"connection: close" in answer


def test_pipelined_requests_are_begun_with_pauses_between_them(usual: Server) -> None:
    number, begun = 500, time.monotonic()
    answer = ask(usual.address["port"], (GET + b"\r\n") * number + GET + b"Connection: close\r\n\r\n")
    assert answer.count(b"HTTP/1.1 200 OK") == number + 1
    assert time.monotonic() - begun > number * PAUSE_SECONDS / 2, "timers may be early by less than a millisecond"


def test_of_those_that_wait_one_is_begun_after_each_pause_in_order() -> None:
    timers: list[tuple[float, Callable[[], None]]] = []
    turns, begun = Turns(SimpleNamespace(call_later=lambda *timer: timers.append(timer))), []  # type: ignore[arg-type]  # all that is used

    def begin(name: str) -> None:
        begun.append(name)
        if name == "first":
            turns.wait(lambda: begin("first again"))

    for name in ("first", "second", "third"):
        turns.wait(partial(begin, name))
    for number in range(4):
        assert len(begun) == number
        ((seconds, next_turn),) = timers
        assert seconds == PAUSE_SECONDS
        timers.clear()
        next_turn()
    assert (begun, timers) == (["first", "second", "third", "first again"], [])


HALF_HEAD = GET[:-10]
HALF_BODY = POST + b"Content-Length: 1000\r\n\r\n"


@pytest.mark.parametrize(
    "begin", [HALF_HEAD, HALF_BODY, GET + b"Content-Length: 9999\r\n\r\n"], ids=["head", "body", "early"]
)
def test_a_request_that_trickles_in_is_waited_for_no_longer_than_the_settings_say(hasty: Server, begin: bytes) -> None:
    answer, seconds = trickle(hasty.address["port"], begin, 15)
    if begin.startswith(b"GET") and begin != HALF_HEAD:
        assert answer.startswith(b"HTTP/1.1 200 OK"), "the answer did not depend on the body"
        return
    assert status_and_code(answer) == (408, "too_slow")
    assert seconds > 0.35


@pytest.mark.parametrize("begin", [b"", GET + b"\r\n"], ids=["silent", "idle"])
def test_an_idle_connection_is_closed_without_a_word(hasty: Server, begin: bytes) -> None:
    started = time.monotonic()
    answer = ask(hasty.address["port"], begin)
    assert answer.count(b"HTTP/1.1") == bool(begin)
    assert time.monotonic() - started > 1.1


def test_unfinished_bodies_hold_so_much_memory_and_no_more(hasty: Server) -> None:
    """Of 40 those that have waited longest go; a caller beside them is answered, and the last of them as well."""
    worker, length = _worker(hasty), 2 * MIB
    before = worker.memory_info().rss
    begin = POST + b"Content-Length: %d\r\n\r\n" % length + b" " * (length - 2)
    with many_connections(hasty.address["port"], 40, begin) as held:
        held[-1].sendall(b"{}")
        assert held[-1].recv(100).startswith(b"HTTP/1.1 200 OK")
        assert httpx.post(f"{hasty.client.base_url}/v2/models/{MODEL}/infer", json=request()).status_code == 200
        assert worker.memory_info().rss - before < 40 * MIB
        answers = [rest_of(connection) for connection in held[:-1]]
    told = Counter(status_and_code(answer) for answer in answers if answer)
    assert told[503, "overloaded"] >= 30, told
    assert set(told) <= {(503, "overloaded"), (408, "too_slow")}
    dropped = httpx.get(f"{hasty.client.base_url}/metrics").text
    assert 'mlops_connections_dropped_total{reason="memory"}' in dropped


def test_answers_that_nobody_takes_are_let_go(hasty: Server) -> None:
    body = json.dumps(request(rows=3_000)).encode()
    head = f"POST /v2/models/{MODEL}/infer HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    big = f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body
    with socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.settimeout(5)
        connection.connect(("127.0.0.1", hasty.address["port"]))
        with contextlib.suppress(OSError):  # it takes no more of them, or has hung up
            for _ in range(100):  # answers of 17 MB: more than the buffers of the kernel take
                connection.sendall(big)
        eventually(lambda: connection.getsockname()[1] not in _callers_of(_worker(hasty)))
    assert httpx.get(f"{hasty.client.base_url}/v2/health/live").status_code == 200


FLOOD = {"silent": b"", "head": HALF_HEAD, "body": HALF_BODY + b" ", "idle": GET + b"\r\n"}


@pytest.mark.parametrize("kind", FLOOD)
def test_with_1100_who_hold_on_others_are_answered(usual: Server, kind: str) -> None:
    """Also somebody who was there before, one whose body is under way, and whoever probes."""
    port = usual.address["port"]
    slow = socket.create_connection(("127.0.0.1", port), timeout=20)
    with slow, httpx.Client(base_url=usual.client.base_url, timeout=20) as old:
        assert old.get("/v2/health/live").status_code == 200
        if kind != "body":  # among as many others, it is the one that has waited longest
            slow.sendall(POST + b"Content-Length: 2\r\n\r\n{")
        with many_connections(port, 1_100, FLOOD[kind]) as crowd:
            for _ in range(10):
                assert (
                    httpx.post(f"{old.base_url}/v2/models/{MODEL}/infer", json=request(), timeout=20).status_code == 200
                )
                if kind != "idle":  # it is idle, as all others, and longer
                    assert old.get("/v2/health/ready").status_code == 200
            eventually(lambda: closed(crowd) >= 1_100 - 768)
            assert _worker(usual).num_fds() < 1024
            if kind != "body":
                slow.sendall(b"}")
                assert slow.recv(100).startswith(b"HTTP/1.1 200 OK")
    assert "Traceback" not in usual.log.read_text()


@pytest.mark.parametrize("host", ["::", "::1"])
def test_all_addresses_of_ipv6_are_those_of_ipv4_too(tmp_path: Path, host: str) -> None:
    with listening(Settings(home=tmp_path, host=host, port=0)) as listener:
        port = listener.getsockname()[1]
        socket.create_connection(("::1", port), timeout=5).close()
        if host == "::":
            socket.create_connection(("127.0.0.1", port), timeout=5).close()


class FakeCaller:
    def __init__(self, door: FrontDoor) -> None:
        self.queue: Queue | None = None
        self.held = 0
        self.door = door
        self.ended = False

    def drop(self, error: MlopsError, *, at_once: bool = False) -> None:  # noqa: ARG002  # it never lingers
        assert not self.ended
        assert self.queue is not None, "a request of it is being answered"
        assert str(error)
        self.ended = True
        self.door.place(self, None)


PLACES = ["silent", "heads", "transfers", "idle"]
STEPS = st.lists(
    st.tuples(
        st.sampled_from([*PLACES, "come", "answer", "sweep"]),
        st.integers(0, 50),
        st.integers(0, 30),
    ),
    max_size=200,
)


@given(STEPS, st.integers(1, 12))
def test_whatever_they_do_the_limits_hold_and_nobody_is_interrupted(
    steps: list[tuple[str, int, int]], most: int
) -> None:
    now = 0.0
    dropped: list[str] = []
    door = FrontDoor(Limits(5.0, 9.0, 20.0, most, 40), lambda: now, dropped.append)
    callers: list[FakeCaller] = []
    for step, number, held in steps:
        now += 0.5
        present = [caller for caller in callers if not caller.ended]
        if step == "come" and door.has_place(len(present)):
            callers.append(FakeCaller(door))
            door.place(callers[-1], door.silent)
            door.make_place(len(present) + 1)
        elif step == "sweep":
            door.sweep()
            queues = (door.silent, door.heads, door.transfers, door.idle)
            assert all(now - since <= queue.seconds for queue in queues for since in queue.since.values())
        elif present and step != "come":
            caller = present[number % len(present)]
            queue = None if step == "answer" else getattr(door, step)
            door.place(caller, queue, held if queue is door.transfers else 0)
        present = [caller for caller in callers if not caller.ended]
        assert len(present) <= most
        assert sum(caller.held for caller in present) <= 40
    assert len(dropped) == sum(caller.ended for caller in callers)


def _worker(server: Server) -> psutil.Process:
    (pid,) = children(server, "worker")
    return psutil.Process(pid)


def _callers_of(worker: psutil.Process) -> set[int]:
    """The ports of those whose connection it has open."""
    return {its.raddr.port for its in worker.net_connections() if its.raddr}
