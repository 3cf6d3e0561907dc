import random
import subprocess
import threading
import time
from collections import Counter
from datetime import UTC, datetime, timedelta

from deltalake import DeltaTable

from mlops_dagster.predictions import Pair, PairedCounts, Rollups, Spool, audit
from tests.support.forks import Forked
from tests.support.predictions.workers import work

START = datetime(2013, 3, 1, tzinfo=UTC)
DAYS = timedelta(days=10)


def start(*arguments: str, stdin: int | None = None) -> Forked:
    return Forked(work, *arguments, stdin=stdin, stdout=subprocess.PIPE)


def until_killed(process: Forked, lines: int, delay: float, heard: list[str]) -> None:
    """Let the process finish some rounds, kill it in the middle of a later one, and keep all it said."""
    assert process.stdout is not None
    with process.stdout:
        heard.extend(process.stdout.readline() for _ in range(lines))
        time.sleep(delay)
        process.kill()
        heard.extend(process.stdout)
    process.wait()


def test_kill_9_loses_nothing_and_counts_nothing_twice(tmp_path, log, address, postgresql):
    chance = random.Random(20130301)  # noqa: S311 - not for secrets
    acknowledged: dict[str, set[str]] = {"predicted": set(), "labelled": set()}
    for round_ in range(2 if address.startswith("s3") else 4):
        said: tuple[list[str], list[str]] = ([], [])
        workers = (
            start("append", str(tmp_path), f"process-{round_ % 2}", str(round_)),
            start("take", str(tmp_path), log.place.address, postgresql),
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
    rollups.catch_up(spool, lambda *_: None)
    shared.catch_up(spool, lambda *_: None)
    log.ship(spool)
    assert spool.read(0) == []

    answers = log.read("flights", START, START + DAYS, ["prediction_id"])["prediction_id"].to_pylist()
    paired = log.read("flights", START, START + DAYS, ["prediction_id"], ["paired"])["prediction_id"].to_pylist()
    assert Counter(answers).most_common(1)[0][1] == 1
    assert sorted(paired) == sorted(answers)
    assert acknowledged["predicted"] <= set(answers)
    at = log.place.table("labels")
    labels = DeltaTable(at.uri, storage_options=at.options).to_pyarrow_table()["prediction_id"].to_pylist()
    assert Counter(labels).most_common(1)[0][1] == 1
    assert acknowledged["labelled"] <= set(labels)

    found = rollups.events("flights", START, START + DAYS)
    champion, challenger = (each.counts for each in found)
    assert champion.requests == challenger.requests == len(answers)
    assert champion.wrong == challenger.wrong == len(labels)
    pair = Pair("flights", "1.0.0", "1.1.0")
    for each in (rollups, shared):
        assert each.events("flights", START, START + DAYS) == found
        (outcomes,) = pair.outcomes(each, [START], START + DAYS)
        assert outcomes == {"on_time": PairedCounts(ties=len(labels))}
        (both,) = pair.both_scored(each, [START], START + DAYS)
        assert both.requests == sum(cohort.units for cohort in pair.cohorts(each, START, START + DAYS).values())
    shared.close()
    report = audit(spool, log)
    assert report.complete
    assert report.answered == report.logged == len(answers)
