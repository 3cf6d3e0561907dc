"""What a request costs over the bare `predict_proba`: 200 requests a second, each sent at its time.

Ours: one row over HTTP, latency from the moment the request was due to the last byte of its answer, so a late answer
delays no later request and hides none of its wait. Bare: `predict_proba` of the same row as a one-row frame, in a
process of its own that calls it as often, and only the call is timed: waking up late counts against us alone.
Blocks of both alternate. The data plane logs everything.

    python bench/serving_overhead.py [--pairs 3] [--seconds 10]
"""

import argparse
import multiprocessing
import select
import socket
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from itertools import cycle
from pathlib import Path
from statistics import median

import numpy as np
from rich.console import Console
from rich.table import Table
from served import MODEL, data_plane, load_average, make_bodies, make_data, make_stores
from sklearn.linear_model import LogisticRegression

RATE = 200
WARM_UP_SECONDS = 2


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=3, help="blocks of each")
    parser.add_argument("--seconds", type=int, default=10, help="length of a block")
    options = parser.parse_args()
    bodies = make_bodies()
    with (
        tempfile.TemporaryDirectory(prefix="mlops-bench-") as folder,
        data_plane(make_stores(Path(folder) / "home")) as server,
        ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool,
    ):
        requests(server.port, bodies, WARM_UP_SECONDS)
        pool.submit(bare_calls, WARM_UP_SECONDS).result()
        blocks = [
            (requests(server.port, bodies, options.seconds), pool.submit(bare_calls, options.seconds).result())
            for _ in range(options.pairs)
        ]
    table = Table("block", "P50 ms, request", "bare", "difference", "P99 ms, request", "bare", "difference")
    rows = [[figure for q in (50, 99) for figure in compared(pair, q)] for pair in blocks]
    for name, row in [*((str(number), row) for number, row in enumerate(rows, 1)), ("median", medians(rows))]:
        table.add_row(name, *(f"{figure:.3f}" for figure in row))
    Console(width=120).print(table, f"{RATE} requests/s; {load_average()}")


def compared(pair: tuple[Sequence[float], Sequence[float]], percent: int) -> tuple[float, float, float]:
    """A percentile of requests and of bare calls in milliseconds, and by how much they differ."""
    ours, bare = (float(np.percentile(seconds, percent)) * 1e3 for seconds in pair)
    return ours, bare, ours - bare


def medians(rows: Sequence[Sequence[float]]) -> list[float]:
    return [median(column) for column in zip(*rows, strict=True)]


def requests(port: int, bodies: Sequence[bytes], seconds: int) -> list[float]:
    """Seconds from when each request was due to its answer; as many connections as there are requests at once.

    Waits in `select`, which is exact to microseconds where event loops count in milliseconds.
    """
    path = f"POST /v2/models/{MODEL}/infer HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    ready = cycle([f"{path}Content-Length: {len(body)}\r\n\r\n".encode() + body for body in bodies])
    idle: list[socket.socket] = []
    due_of: dict[socket.socket, float] = {}
    taken: list[float] = []
    start = time.perf_counter()
    sent, count = 0, RATE * seconds
    while len(taken) < count:
        now, due = time.perf_counter(), start + sent / RATE
        if sent < count and now >= due:
            connection = idle.pop() if idle else socket.create_connection(("127.0.0.1", port))
            connection.sendall(next(ready))
            due_of[connection] = due
            sent += 1
            continue
        for connection in select.select(list(due_of), [], [], due - now if sent < count else None)[0]:
            answer = connection.recv(65_536)
            while not is_whole(answer):
                answer += connection.recv(65_536)
            arrived = time.perf_counter()
            taken.append(arrived - due_of.pop(connection))
            idle.append(connection)
    for connection in idle:
        connection.close()
    return taken


def is_whole(answer: bytes) -> bool:
    """Whether all of an answer is there; RuntimeError where it is not a good one."""
    if not answer.startswith(b"HTTP/1.1 200 "):
        raise RuntimeError(f"not an answer: {answer!r}")
    head, _, body = answer.partition(b"\r\n\r\n")
    return f"content-length: {len(body)}".encode() in head.lower() and bool(body)


def bare_calls(seconds: int) -> list[float]:
    """Seconds of each call, RATE a second."""
    frame, classes = make_data()
    estimator = LogisticRegression().fit(frame, classes)
    rows = cycle([frame.iloc[[number]] for number in range(100)])
    start = time.perf_counter()
    taken = []
    for number in range(RATE * seconds):
        time.sleep(max(0.0, start + number / RATE - time.perf_counter()))
        row = next(rows)
        began = time.perf_counter()
        estimator.predict_proba(row)
        taken.append(time.perf_counter() - began)
    return taken


if __name__ == "__main__":
    main()
