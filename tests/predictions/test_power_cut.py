"""What is answered survives a loss of power, where the settings say so."""

import os
import subprocess
import sys
import threading
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import IO

import pytest

from mlops_dagster.predictions import PredictionLog, Rollups, Spool, audit
from tests.predictions.disks import Disk, SyncedFolder, a_disk

START = datetime(2013, 3, 1, tzinfo=UTC)
DAYS = timedelta(days=10)
ROOT = Path(__file__).parents[2]


@pytest.fixture(params=["the best there is", "a folder"])
def disk(request, tmp_path):
    if request.param == "a folder":
        (tmp_path / "power").mkdir()
        yield SyncedFolder(tmp_path / "power")
        return
    with a_disk(tmp_path / "power") as found:
        if isinstance(found, SyncedFolder):
            pytest.skip("no loop devices: the folder is tested in any case")
        yield found


def said_until_the_power_fails(disk: Disk, round_: int, durability: str) -> list[str]:
    """Append while another process counts, ships and tidies; returns what was said before the power failed."""
    home = str(disk.path)
    environment = {**os.environ, **disk.environment, "MLOPS_DURABILITY": durability}

    def start(*arguments: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "tests.predictions.workers", *arguments]
        return subprocess.Popen(command, cwd=ROOT, env=environment, text=True, stdout=subprocess.PIPE)

    with start("take", home, f"{home}/log") as taking:
        assert taking.stdout is not None
        until_shipped(taking.stdout, 0)
        with start("append", home, f"process-{round_}", str(round_), "0.05") as appending:
            assert appending.stdout is not None
            said: list[str] = []
            reader = threading.Thread(target=said.extend, args=(appending.stdout,))
            reader.start()
            until_shipped(taking.stdout, 2)
            disk.cut()
            taking.kill()
            appending.kill()
            reader.join()
    disk.restore()
    return [line for line in said if line.endswith("\n")]


def until_shipped(lines: IO[str], times: int) -> None:
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


@pytest.mark.parametrize("disk", ["the best there is", "a folder"], indirect=True)
def test_what_was_answered_survives_a_loss_of_power(disk):
    acknowledged: dict[str, set[str]] = {"predicted": set(), "labelled": set()}
    for round_ in range(2):
        for line in said_until_the_power_fails(disk, round_, "disk"):
            verb, *ids = line.split()
            acknowledged[verb].update(ids)

    spool, log = Spool(disk.path / "spool.sqlite", "disk"), PredictionLog(disk.path / "log")
    rollups = Rollups(f"sqlite:///{disk.path}/rollups.sqlite")
    rollups.catch_up(spool, lambda *_: None)
    log.ship(spool)
    answers = Counter(log.read("flights", START, START + DAYS, ["prediction_id"])["prediction_id"].to_pylist())
    assert answers.most_common(1)[0][1] == 1
    assert acknowledged["predicted"] <= answers.keys()
    labelled = log.labelled("flights", START, START + DAYS)
    known = {row["prediction_id"] for row in labelled.select(["prediction_id", "label"]).to_pylist() if row["label"]}
    assert acknowledged["labelled"] <= known
    champion, _ = (each.counts for each in rollups.events("flights", START, START + DAYS))
    assert champion.requests == len(answers)
    assert champion.wrong == len(known)
    report = audit(spool, log, rollups.cursors())
    assert report.complete, report
    for each in (spool, rollups):
        each.close()
