"""Callers without a token against the front door, at a limit of 1,024 descriptors, while others ask as ever.

Turns of each attack alternate with quiet ones. Compared is what others wait, from when a request was due to its answer:
the 99th percentile of a turn under an attack may be twice that of a quiet one, both as the median of at least three
turns, as a stall of the machine falls into one turn, and one that the attack causes into most.
"""

import contextlib
import multiprocessing
import random
import socket
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.synchronize import Event
from pathlib import Path

import httpx
import numpy as np

from bench.served import MODEL, make_bodies, make_stores
from tests.support.serving.attacks import CHUNKED, GET, POST, many_connections
from tests.support.serving.data_plane import Server, eventually

DESCRIPTORS = 1024
RATE = 100
MIN_TURNS = 3
WARM_UP_SECONDS, SETTLING_SECONDS, TURN_SECONDS = 3.0, 1.0, 5.0
MIB = 1 << 20

Attack = Callable[[int, Event, Event], None]
"""Attacks a port; sets the first event once it is in full swing, and ends when the second is set."""


def attack(seconds: float) -> None:
    """Print how long others wait in quiet and under each attack; raise AssertionError where that is too long.

    Raises AssertionError for a request that is not answered, too.
    """
    until = time.monotonic() + seconds
    waits: defaultdict[str, list[list[float]]] = defaultdict(list)
    with tempfile.TemporaryDirectory(prefix="mlops-soak-") as folder:
        make_stores(Path(folder))
        server = Server(Path(folder), descriptors=DESCRIPTORS)
        try:
            port = server.address["port"]
            eventually(lambda: httpx.get(f"http://127.0.0.1:{port}/v2/models/{MODEL}/ready").status_code == 200)
            wait_of_others(port, WARM_UP_SECONDS)
            while time.monotonic() < until or len(waits["quiet"]) < MIN_TURNS * len(ATTACKS):
                for name, kind in ATTACKS.items():
                    waits["quiet"].append(wait_of_others(port, TURN_SECONDS))
                    with under(kind, port):
                        waits[name].append(wait_of_others(port, TURN_SECONDS))
        finally:
            server.stop()
    report(waits)


def report(waits: dict[str, list[list[float]]]) -> None:
    p99 = {name: float(np.median(np.percentile(turns, 99, axis=1))) * 1e3 for name, turns in waits.items()}
    for name, turns in waits.items():
        each = ", ".join(f"{turn * 1e3:.1f}" for turn in np.percentile(turns, 99, axis=1))
        print(f"{name}: P50 {np.median(turns) * 1e3:.1f} ms, P99 {p99[name]:.1f} ms (of turns: {each})")
    slow = {name: wait for name, wait in p99.items() if wait > 2 * p99["quiet"]}
    assert not slow, f"others wait longer than twice the {p99['quiet']:.1f} ms of quiet turns: {slow}"


def wait_of_others(port: int, seconds: float) -> list[float]:
    """Seconds that each request took: each tenth on a connection of its own, each tenth asks whether it is ready."""
    url, bodies = f"http://127.0.0.1:{port}", make_bodies()
    kind = {"Content-Type": "application/json"}
    taken = []
    with httpx.Client(base_url=url, timeout=30) as kept:
        begin = time.perf_counter()
        for number in range(int(RATE * seconds)):
            due = begin + number / RATE
            time.sleep(max(0.0, due - time.perf_counter()))
            if number % 10 == 0:
                answer = kept.get("/v2/health/ready")
            elif number % 10 == 5:
                answer = _alone(url, bodies[number % len(bodies)])
            else:
                body = bodies[number % len(bodies)]
                answer = kept.post(f"/v2/models/{MODEL}/infer", content=body, headers=kind)
            taken.append(time.perf_counter() - due)
            assert answer.status_code == 200, answer.text
    return taken


def _alone(url: str, body: bytes) -> httpx.Response:
    with httpx.Client(base_url=url, timeout=30, verify=False) as client:  # noqa: S501  # no TLS, and its setup is slow
        return client.post(f"/v2/models/{MODEL}/infer", content=body, headers={"Content-Type": "application/json"})


@contextmanager
def under(kind: Attack, port: int) -> Iterator[None]:
    """The attack goes on in a process of its own; the block begins when it is in full swing."""
    context = multiprocessing.get_context("spawn")
    begun, stop = context.Event(), context.Event()
    process = context.Process(target=kind, args=(port, begun, stop), daemon=True)
    process.start()
    try:
        assert begun.wait(60), "the attack has not begun"
        time.sleep(SETTLING_SECONDS)
        yield
    finally:
        stop.set()
        process.join()
    assert process.exitcode == 0, f"the attack itself failed with {process.exitcode}"


def silent(port: int, begun: Event, stop: Event) -> None:
    with many_connections(port, 1_100):
        begun.set()
        stop.wait()


def half_heads(port: int, begun: Event, stop: Event) -> None:
    trickle(port, begun, stop, 1_100, GET + b"X: ")


def half_bodies(port: int, begun: Event, stop: Event) -> None:
    trickle(port, begun, stop, 1_100, POST + b"Content-Length: 100000\r\n\r\n")


def large_bodies(port: int, begun: Event, stop: Event) -> None:
    length = 15 * MIB
    trickle(port, begun, stop, 40, POST + b"Content-Length: %d\r\n\r\n" % length + b" " * (length - 1_000))


def untaken_answers(port: int, begun: Event, stop: Event) -> None:
    trickle(port, begun, stop, 200, b"GET /openapi.json HTTP/1.1\r\nHost: localhost\r\n\r\n" * 10)


def endless(port: int, begun: Event, stop: Event) -> None:
    """Heads, chunks and trailers without end, as fast as they are taken."""
    generator = random.Random(7)  # noqa: S311  # no secret
    begins = (GET + b"X: ", GET[:5], CHUNKED + b"1;", CHUNKED + b"0\r\nX: ", CHUNKED + b"1\r\n \r\n" * 20_000)
    begun.set()
    while not stop.wait(0.01):
        with socket.create_connection(("127.0.0.1", port), timeout=20) as connection, contextlib.suppress(OSError):
            connection.sendall(generator.choice(begins))
            for _ in range(64):
                connection.sendall(b"x" * 65_536)


ATTACKS: dict[str, Attack] = {
    "1,100 silent connections": silent,
    "1,100 heads, a byte each second": half_heads,
    "1,100 bodies, a byte each second": half_bodies,
    "40 bodies of 15 MB": large_bodies,
    "answers that nobody takes": untaken_answers,
    "heads, chunks and trailers without end": endless,
}


def trickle(port: int, begun: Event, stop: Event, number: int, begin: bytes) -> None:
    """So many connections that send a byte each second; those that were ended come again after the others."""
    with many_connections(port, number, begin) as connections:
        begun.set()
        while not stop.wait(1.0):
            for connection in connections:
                with contextlib.suppress(OSError):
                    connection.sendall(b"x")
