"""Many writers on one log: they answer, count, ship, compact and retain at once, are killed, and are audited.

Half of the time the log is in a folder, half of it on S3.
"""

import itertools
import multiprocessing
import os
import random
import sys
import tempfile
import time
from collections import Counter
from contextlib import suppress
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from mlops_dagster.errors import AlreadyRunningError, StorageError
from mlops_dagster.predictions import (
    PredictionLog,
    PredictionRecord,
    Rollups,
    Spool,
    audit,
    expire,
    find_doubled,
)
from mlops_dagster.predictions.log.delta import tables as delta
from mlops_dagster.predictions.rollups import heartbeats
from tests.support import weed

START = datetime(2013, 3, 1, tzinfo=UTC)
WRITERS = 4
MODELS = ("flights", "taxis")
KEPT_DAYS = 3
UNFINISHED = "did not finish: run it again"  # true of an erasure that was killed


def attack(seconds: float) -> None:
    """Raise AssertionError for a row that is there twice or nowhere, or that an audit says so of."""
    with tempfile.TemporaryDirectory() as folder:
        _attack(Path(folder), str(Path(folder, "log")), seconds / 2)
    with tempfile.TemporaryDirectory() as folder, weed.weed() as server:
        os.environ |= weed.environment(server)
        weed.client(server).create_bucket(Bucket="writers")
        _attack(Path(folder), "s3://writers/log", seconds / 2)


def _attack(folder: Path, address: str, seconds: float) -> None:
    chance, spawn = random.Random(45), multiprocessing.get_context("spawn")  # noqa: S311 - not for secrets
    heartbeats.ALIVE_SECONDS = 600.0  # a writer that was killed comes back, however busy the machine is
    homes = [folder / f"home-{number}" for number in range(WRITERS)]
    spools = []
    for home in homes:
        home.mkdir()
        spools.append(Spool(home / "spool.sqlite"))
    log, rollups = PredictionLog(address), _rollups(folder)
    starts = itertools.count()

    def start(home: Path) -> multiprocessing.process.BaseProcess:
        process = spawn.Process(target=_write, args=(home, address, next(starts)), daemon=True)
        process.start()
        return process

    writers = [start(home) for home in homes]
    done: Counter[str] = Counter()
    end = time.monotonic() + seconds
    try:
        while time.monotonic() < end:
            time.sleep(chance.uniform(0, 2))
            report = audit(chance.choice(spools), log, rollups)
            problems = [problem for problem in report.problems if UNFINISHED not in problem]
            assert (report.gaps, report.twice, problems) == ((), 0, []), report
            done["audits"] += 1
            if chance.random() < 0.3:
                victim = chance.randrange(WRITERS)
                writers[victim].kill()
                writers[victim].join()
                writers[victim] = start(homes[victim])
                done["kills"] += 1
    finally:
        for writer in writers:
            writer.kill()
            writer.join()
    hours = 0
    for spool in spools:
        for consumer in (log.ship, lambda its: rollups.catch_up(its, lambda *_: None)):
            consumer(spool)
        hours = max(hours, _hours(spool))
    for model in log.models():
        _retain(log, model, (START + timedelta(days=1)).date())  # mends what was killed
    for spool in spools:
        report = audit(spool, log, rollups)
        assert report.complete, report
    assert not any(each.surplus for each in find_doubled(log))
    for model in log.models():
        table = delta.open_table(log.place.table(f"predictions/{model}"))
        done.update(commit["operation"] for commit in table.history() if table is not None)
    sys.stdout.write(
        f"{address.partition('://')[0] if '://' in address else 'folder'}: {WRITERS} writers, {report.answered:,} rows "
        f"answered, {report.logged:,} logged, {report.erased:,} erased, {hours:,} hours simulated, "
        f"0 twice, 0 missing; {dict(done)}\n"
    )


def _write(home: Path, address: str, start: int) -> None:
    """Answer an hour of traffic at a time, without end; what is older than some days is not retained."""
    spool, log, rollups = Spool(home / "spool.sqlite"), PredictionLog(address), _rollups(home.parent)
    spool.marks.keep_for(["shared", "shipped"])
    for hour in itertools.count(_hours(spool)):
        spool.append([_record(home.name, start, hour, model, row) for model in MODELS for row in range(2)])
        spool.feedback([(f"{home.name}-{hour}-0", "late", None)], model=MODELS[hour % 2])
        rollups.catch_up(spool, lambda *_: None)
        with suppress(StorageError):  # overtaken: the next time
            log.ship(spool)
            log.tidy()
            if hour % 24 == 23 and hour > KEPT_DAYS * 24:
                before = (START + timedelta(hours=hour) - timedelta(days=KEPT_DAYS)).date()
                _retain(log, MODELS[hour // 24 % 2], before)


def _hours(spool: Spool) -> int:
    """How many hours of traffic a spool has had."""
    return sum(count.sequence for count in spool.processes()) // (2 * len(MODELS))


def _retain(log: PredictionLog, model: str, before: date) -> None:
    with suppress(AlreadyRunningError):
        expire(log, {model: before}, actor="soak", reason="retention", at=START)


def _rollups(folder: Path) -> Rollups:
    return Rollups(f"sqlite:///{folder}/shared.sqlite", consumer="shared")


def _record(home: str, start: int, hour: int, model: str, row: int) -> PredictionRecord:
    name = f"{home}-{hour}-{row}"
    return PredictionRecord(
        prediction_id=name, request=f"{name}-{start}-{model}", model=model, version="1.0.0", role="champion",
        weight=1.0, epoch=1, salt="salt", key=name, received_at=START, event_time=START + timedelta(hours=hour),
        status="ok", error=None, features={"hour": float(hour % 24)}, prediction="late", score=0.5, latency_ms=5.0,
        process=f"{home}-{start}", row=row, unit=name,
    )  # fmt: skip
