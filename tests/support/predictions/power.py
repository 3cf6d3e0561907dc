"""Rounds of answering on a disk that loses power in the middle, and what must be there afterwards."""

import os
import threading
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from subprocess import PIPE
from typing import IO

from mlops_dagster.predictions import PredictionLog, Rollups, Spool, audit
from mlops_dagster.predictions.spool.sqlite import Durability
from tests.support.forks import Forked
from tests.support.predictions.disks import Disk
from tests.support.predictions.workers import work

START = datetime(2013, 3, 1, tzinfo=UTC)
DAYS = timedelta(days=10)


@dataclass
class Said:
    """What was answered before the power failed."""

    predicted: set[str] = field(default_factory=set)
    labelled: set[str] = field(default_factory=set)


def answer_until_the_power_fails(disk: Disk, round_: int, durability: Durability, said: Said) -> None:
    """Append while another process counts, ships and tidies; power fails some batches later, and comes back."""
    home = str(disk.path)
    environment = {**os.environ, **disk.environment, "MLOPS_DURABILITY": durability}

    def start(*arguments: str) -> Forked:
        return Forked(work, *arguments, env=environment, stdout=PIPE)

    with start("take", home, f"{home}/log") as taking:
        assert taking.stdout is not None
        _until_shipped(taking.stdout, 0)
        with start("append", home, f"process-{round_}", str(round_), "0.2") as appending:
            assert appending.stdout is not None
            lines: list[str] = []
            reader = threading.Thread(target=lines.extend, args=(appending.stdout,))
            reader.start()
            _until_shipped(taking.stdout, 1)
            disk.cut()
            taking.kill()
            appending.kill()
            reader.join()
    disk.restore()
    for verb, *ids in (line.split() for line in lines if line.endswith("\n")):
        (said.predicted if verb == "predicted" else said.labelled).update(ids)


def _until_shipped(lines: IO[str], times: int) -> None:
    """Return when something was shipped so often; where `times` is 0, when the first look is done."""
    for line in lines:
        match line.split():
            case ["shipped", rows]:
                times -= rows != "0"
                if times <= 0:
                    return
            case _:
                pass
    raise AssertionError("the worker ended before the power failed")


def look(disk: Disk, said: Said, durability: Durability) -> int:
    """Ship and count what is there; returns how many answers are gone, which must be none where the disk is synced.

    In any case all that is there is counted and shipped once, and what is answered from here on arrives.
    """
    spool, log = Spool(disk.path / "spool.sqlite", durability), PredictionLog(disk.path / "log")
    rollups = Rollups(f"sqlite:///{disk.path}/rollups.sqlite")
    try:
        rollups.catch_up(spool, lambda *_: None)
        log.ship(spool)
        answers = Counter(log.read("flights", START, START + DAYS, ["prediction_id"])["prediction_id"].to_pylist())
        assert answers.most_common(1)[0][1] == 1, "a prediction is in the log twice"
        lost = said.predicted - answers.keys()
        if durability == "process":
            return len(lost)
        assert not lost, f"{len(lost)} of {len(said.predicted)} answered predictions are gone"
        labelled = log.labelled("flights", START, START + DAYS).select(["prediction_id", "label"]).to_pylist()
        known = {row["prediction_id"] for row in labelled if row["label"] is not None}
        assert said.labelled <= known, f"{len(said.labelled - known)} labels are gone"
        champion, _ = (each.counts for each in rollups.events("flights", START, START + DAYS))
        assert (champion.requests, champion.wrong) == (len(answers), len(known)), "the rollups have counted others"
        report = audit(spool, log, rollups)
        assert report.complete, report
        return 0
    finally:
        rollups.close()
        spool.close()
