"""What the tests of `kill -9` and of a loss of power fork. A line tells of each step, once it is durable.

`append FOLDER PROCESS ROUND PAUSE`, `take FOLDER LOG DATABASE`, `write FOLDER PROCESS ROUND LOG`, `hold LOG`.
"""

import itertools
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

from mlops_dagster.predictions import Answered, PredictionLog, PredictionRecord, Rollups, Spool
from mlops_dagster.predictions.log import maintenance
from mlops_dagster.predictions.log.delta import upkeep
from mlops_dagster.predictions.log.maintenance import maintaining
from mlops_dagster.settings import Settings
from tests.support.predictions.disks import keep_what_is_synced

START = datetime(2013, 3, 1, tzinfo=UTC)


def record(prediction_id: str, number: int, process: str, role: str) -> PredictionRecord:
    return PredictionRecord(
        prediction_id=prediction_id, request=prediction_id, model="flights",
        version="1.0.0" if role == "champion" else "1.1.0", role=role,
        weight=0.9 if role == "champion" else 0.1, epoch=1, salt="salt", key=None, received_at=START,
        event_time=START + timedelta(minutes=number % 5000), status="ok", error=None, features={"hour": 6.0},
        prediction="late", score=0.5, latency_ms=5.0, process=process, row=0,
        unit=prediction_id, beside=None if role == "champion" else Answered("1.0.0", "champion", "ok"),
    )  # fmt: skip


def say(*words: object) -> None:
    sys.stdout.write(" ".join(map(str, words)) + "\n")
    sys.stdout.flush()


def append(folder: Path, process: str, round_: str, pause: str = "0") -> None:
    """Append predictions with their paired rows, label some, and print what has been acknowledged."""
    spool = Spool(folder / "spool.sqlite", Settings().durability)
    for number in itertools.count():
        ids = [f"{round_}-{number}-{row}" for row in range(10)]
        spool.append([record(each, number, process, role) for each in ids for role in ("champion", "paired")])
        say("predicted", *ids)
        spool.feedback([(each, "on_time", START) for each in ids[:3]], model="flights")
        say("labelled", *ids[:3])
        time.sleep(float(pause))


def take(folder: Path, address: str, shared_database: str | None = None) -> None:
    """Roll up, here and (if there is a database) for all machines, ship and tidy, without end."""
    spool, log = Spool(folder / "spool.sqlite", Settings().durability), PredictionLog(address)
    every = {"rolled_up": Rollups(f"sqlite:///{folder}/rollups.sqlite")}
    if shared_database is not None:
        every["shared"] = Rollups(shared_database, consumer="shared")
    spool.marks.keep_for([*every, "shipped"])
    while True:
        for consumer, rollups in every.items():
            say(consumer, rollups.catch_up(spool, lambda *_: None))
        say("shipped", log.ship(spool))
        log.tidy()


def write(folder: Path, process: str, round_: str, address: str) -> None:
    """Append, ship and tidy, without end."""
    spool, log = Spool(folder / "spool.sqlite"), PredictionLog(address)
    for number in itertools.count():
        ids = [f"{process}-{round_}-{number}-{row}" for row in range(10)]
        spool.append([record(each, number * 700, process, "champion") for each in ids])
        log.ship(spool)
        for name in log.models():
            upkeep.tidy(log.place.table(f"predictions/{name}"))  # without a lease, as if it were broken
        say("wrote", number)


def hold(address: str) -> None:
    """Maintain the log until there is something to read."""
    maintenance.LEASE_SECONDS = 2.0
    with maintaining(PredictionLog(address).place):
        say("holding")
        sys.stdin.readline()


def work(*arguments: str) -> None:
    """Be one of the processes."""
    keep_what_is_synced()
    match arguments:
        case ["append", folder, *others]:
            append(Path(folder), *others)
        case ["take", folder, *others]:
            take(Path(folder), *others)
        case ["write", folder, *others]:
            write(Path(folder), *others)
        case ["hold", address]:
            hold(address)
