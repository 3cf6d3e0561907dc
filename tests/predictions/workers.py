"""What the kill -9 test starts: `append FOLDER PROCESS ROUND` or `take FOLDER DATABASE`. A line tells of each step."""

import itertools
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

from mlops_dagster.predictions import PredictionLog, PredictionRecord, Rollups, Spool

START = datetime(2013, 3, 1, tzinfo=UTC)


def record(prediction_id: str, number: int, process: str, role: str) -> PredictionRecord:
    return PredictionRecord(
        prediction_id=prediction_id, model="flights", version="1.0.0" if role == "champion" else "1.1.0", role=role,
        weight=0.9 if role == "champion" else 0.1, epoch=1, salt="salt", key=None, received_at=START,
        event_time=START + timedelta(minutes=number % 5000), status="ok", error=None, features={"hour": 6.0},
        prediction="late", score=0.5, latency_ms=5.0, process=process, row=0,
    )  # fmt: skip


def say(*words: object) -> None:
    sys.stdout.write(" ".join(map(str, words)) + "\n")
    sys.stdout.flush()


def append(folder: Path, process: str, round_: str) -> None:
    """Append predictions with their paired rows, label some, and print what has been acknowledged."""
    spool = Spool(folder / "spool.sqlite")
    for number in itertools.count():
        ids = [f"{round_}-{number}-{row}" for row in range(10)]
        spool.append([record(each, number, process, role) for each in ids for role in ("champion", "paired")])
        say("predicted", *ids)
        spool.feedback([(each, "on_time", START) for each in ids[:3]])
        say("labelled", *ids[:3])


def take(folder: Path, shared_database: str) -> None:
    """Roll up, here and for all machines, and ship, without end."""
    spool, rollups = Spool(folder / "spool.sqlite"), Rollups(f"sqlite:///{folder}/rollups.sqlite")
    shared = Rollups(shared_database, consumer="shared")
    log = PredictionLog(folder / "log")
    spool.keep_for(["rolled_up", "shared", "shipped"])
    while True:
        say("rolled up", rollups.catch_up(spool, lambda *_: None))
        say("shared", shared.catch_up(spool, lambda *_: None))
        say("shipped", log.ship(spool))


if __name__ == "__main__":
    if sys.argv[1] == "append":
        append(Path(sys.argv[2]), *sys.argv[3:])
    else:
        take(Path(sys.argv[2]), sys.argv[3])
