import random
import subprocess
import sys
import threading
import time
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path

from deltalake import DeltaTable

from mlops_dagster.predictions import PredictionLog, Rollups, Spool, audit

START = datetime(2013, 3, 1, tzinfo=UTC)
DAYS = timedelta(days=10)
WORKERS = Path(__file__).with_name("workers.py")


def start(*arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen([sys.executable, WORKERS, *arguments], stdout=subprocess.PIPE, text=True)


def until_killed(process: subprocess.Popen[str], lines: int, delay: float, heard: list[str]) -> None:
    """Let the process finish some rounds, kill it in the middle of a later one, and keep all it said."""
    assert process.stdout is not None
    with process.stdout:
        heard.extend(process.stdout.readline() for _ in range(lines))
        time.sleep(delay)
        process.kill()
        heard.extend(process.stdout)
    process.wait()


def test_kill_9_loses_nothing_and_counts_nothing_twice(tmp_path, postgresql):
    chance = random.Random(20130301)  # noqa: S311 - not for secrets
    acknowledged: dict[str, set[str]] = {"predicted": set(), "labelled": set()}
    for round_ in range(4):
        said: tuple[list[str], list[str]] = ([], [])
        workers = (
            start("append", str(tmp_path), f"process-{round_ % 2}", str(round_)),
            start("take", str(tmp_path), postgresql),
        )
        threads = [
            threading.Thread(target=until_killed, args=(worker, 6, chance.uniform(0, 0.1), lines))
            for worker, lines in zip(workers, said, strict=True)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert [worker.returncode for worker in workers] == [-9, -9]
        for line in said[0]:
            if line.endswith("\n"):
                verb, *ids = line.split()
                acknowledged[verb].update(ids)

    spool, rollups = Spool(tmp_path / "spool.sqlite"), Rollups(f"sqlite:///{tmp_path}/rollups.sqlite")
    shared = Rollups(postgresql, consumer="shared")
    log = PredictionLog(tmp_path / "log")
    rollups.catch_up(spool, lambda *_: None)
    shared.catch_up(spool, lambda *_: None)
    log.ship(spool)
    assert spool.read(0) == []

    answers = log.read("flights", START, START + DAYS, ["prediction_id"])["prediction_id"].to_pylist()
    paired = log.read("flights", START, START + DAYS, ["prediction_id"], ["paired"])["prediction_id"].to_pylist()
    assert Counter(answers).most_common(1)[0][1] == 1
    assert sorted(paired) == sorted(answers)
    assert acknowledged["predicted"] <= set(answers)
    labels = DeltaTable(log.path / "labels").to_pyarrow_table()["prediction_id"].to_pylist()
    assert Counter(labels).most_common(1)[0][1] == 1
    assert acknowledged["labelled"] <= set(labels)

    champion, challenger = rollups.events("flights", START, START + DAYS)
    assert champion.requests == challenger.requests == len(answers)
    assert champion.wrong == challenger.wrong == len(labels)
    assert rollups.paired("flights", "1.0.0", "1.1.0", START, START + DAYS).ties == len(labels)
    assert shared.events("flights", START, START + DAYS) == [champion, challenger]
    assert shared.paired("flights", "1.0.0", "1.1.0", START, START + DAYS).ties == len(labels)
    shared.close()
    report = audit(spool, log)
    assert report.complete
    assert report.answered == report.logged == len(answers)
