"""How quickly the shipper moves the spool to Delta Lake, and how quickly a long log is read. `make bench`.

On one core: rows a second for 11 features (9 numbers, 2 texts), in blocks, and the peak of memory on the way. Then the
log of many days is read: an hour, and one prediction by its id, before and after `tidy`. Nothing is asserted.
"""

import argparse
import os
import random
import resource
import sqlite3
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median

from deltalake import DeltaTable

from mlops_dagster.predictions import PredictionLog, PredictionRecord, Spool, audit
from mlops_dagster.predictions.encoded import encode_prediction
from mlops_dagster.predictions.spool.entries import rows_of

START = datetime(2026, 1, 1, tzinfo=UTC)
MODEL = "flights"
PROCESSES = [f"host-{number:012x}" for number in range(3)]
_TEMPLATES = 2_000  # rows that differ; encoding each of millions would take longer than shipping it


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=5_000_000)
    parser.add_argument("--block", type=int, default=200_000, help="rows that wait in the spool when it is shipped")
    parser.add_argument("--days", type=int, default=30, help="days that the rows are spread over")
    parser.add_argument("--core", type=int, default=0)
    parser.add_argument("--folder", help="where to work; else the system's temporary folder")
    options = parser.parse_args()
    os.sched_setaffinity(0, {options.core})
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        log = PredictionLog(Path(folder, "log"))
        spool = Spool(Path(folder, "spool.sqlite"))
        ship(log, spool, options.rows, options.block, options.days)
        read(log, spool, options.rows, options.days)


def ship(log: PredictionLog, spool: Spool, rows: int, block: int, days: int) -> None:
    templates = [encode(number) for number in range(_TEMPLATES)]
    speeds = []
    for first in range(0, rows, block):
        count = min(block, rows - first)
        fill(spool, templates, first, count, timedelta(days=days) / rows)
        started = time.perf_counter()
        shipped = log.ship(spool)
        speeds.append(shipped / (time.perf_counter() - started))
        done = first + count
        if done % 1_000_000 < block or done == rows:
            print(f"{done:>11,} rows shipped, peak memory {peak_mb():,.0f} MB")
    print(f"rows/s on one core, {len(speeds)} blocks: {spread(speeds, '{:,.0f}')}")


def read(log: PredictionLog, spool: Spool, rows: int, days: int) -> None:
    chance = random.Random(1)  # noqa: S311
    for state in ("as shipped", "tidy"):
        hours, ids = [], []
        for _ in range(7):
            since = START + timedelta(hours=chance.randrange(24 * days))
            hours.append(seconds(lambda since=since: log.read(MODEL, since, since + timedelta(hours=1))))
            ids.append(seconds(lambda: log.get(identity(chance.randrange(rows)))))
        files = len(DeltaTable(log.place.table(f"predictions/{MODEL}").uri).file_uris())
        print(f"{state}, {files} files: an hour {spread(hours, '{:.3f}')} s; an id {spread(ids, '{:.3f}')} s")
        if state == "as shipped":
            print(f"tidy takes {seconds(log.tidy):.1f} s, peak memory {peak_mb():,.0f} MB")
    print(f"audit takes {seconds(lambda: audit(spool, log)):.1f} s, peak memory {peak_mb():,.0f} MB")


def identity(number: int) -> str:
    return f"{PROCESSES[number % 3]}-{number // 3:x}"


def encode(number: int) -> bytes:
    """A record whose id, process and times are put in for each row."""
    chance = random.Random(number)  # noqa: S311
    features: dict[str, float | str | None] = {f"number_{each}": chance.gauss(0, 10) for each in range(9)}
    features |= {"carrier": chance.choice(["UA", "AA", "DL"]), "origin": chance.choice(["EWR", "JFK", "LGA"])}
    record = PredictionRecord(
        prediction_id="@id", request="@id", model=MODEL, version="1.0.0", role="champion", weight=0.95, epoch=3,
        salt="salt",
        key=f"N{chance.randrange(5000)}", event_time=START, received_at=START, status="ok", error=None,
        features=features, prediction="late", score=chance.random(), latency_ms=chance.random() * 10,
        process="@process", row=0, preprocess_ms=1.0, inference_ms=1.5, postprocess_ms=0.1,
        trace_id=f"{chance.getrandbits(128):032x}",
    )  # fmt: skip
    return encode_prediction(record)


def fill(spool: Spool, templates: list[bytes], first: int, count: int, step: timedelta) -> None:
    """As the data plane would, but by SQL, and as if rolled up already."""
    at = str(int(START.timestamp() * 1e6)).encode()

    def rows() -> Iterator[tuple[int, bytes, int]]:
        for number in range(first, first + count):
            time_ = str(int((START + step * number).timestamp() * 1e6)).encode()
            body = templates[number % _TEMPLATES].replace(at, time_).replace(b"@id", identity(number).encode())
            ((body, checksum),) = rows_of([body.replace(b"@process", PROCESSES[number % 3].encode())])
            yield number // 3 + 1, body, checksum

    with sqlite3.connect(spool.path) as connection:
        connection.executemany("INSERT INTO entries (sequence, body, checksum) VALUES (?, ?, ?)", rows())
        for each, process in enumerate(PROCESSES):
            recorded = (first + count - each + 2) // 3
            connection.execute(
                "REPLACE INTO processes (process, model, sequence, answered) VALUES (?, ?, ?, ?)",
                (process, MODEL, recorded, recorded),
            )
    connection.close()
    spool.marks.set("rolled_up", first + count)


def seconds(work: object) -> float:
    assert callable(work)
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def spread(values: list[float], form: str) -> str:
    low, middle, high = (form.format(each) for each in (min(values), median(values), max(values)))
    return f"min {low}, median {middle}, max {high}"


def peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    main()
