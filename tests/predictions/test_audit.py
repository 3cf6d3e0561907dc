import os
import re
import socket
from pathlib import Path

import pytest

from mlops_dagster.errors import CorruptedError
from mlops_dagster.predictions import Rollups, Spool, audit
from mlops_dagster.predictions.rollups import heartbeats
from tests.support.predictions.records import MARCH

# On S3 the tests of kill -9 and of erasure ask the same questions.
pytestmark = pytest.mark.parametrize("address", ["folder"], indirect=True)


@pytest.fixture
def rollups(tmp_path) -> Rollups:
    return Rollups(f"sqlite:///{tmp_path}/rollups.sqlite")


def test_nothing_recorded_is_complete(spool, log):
    report = audit(spool, log)
    assert (report.complete, report.processes, report.answered) == (True, (), 0)


def test_what_is_logged_and_what_waits_add_up(spool, log, record):
    spool.append([record(0), record(0, role="shadow"), record(1, process="process-2"), record(2, model="other")])
    log.ship(spool)
    spool.append([record(3), record(4, role="none"), record(4, role="paired")])
    report = audit(spool, log)
    assert report.complete
    assert (report.answered, report.logged, report.spooled) == (5, 3, 2)
    assert [(found.process, found.model, found.recorded, *found.records[:2]) for found in report.processes] == [
        ("process-1", "flights", 5, 2, 3),
        ("process-2", "flights", 1, 1, 0),
        ("process-1", "other", 1, 1, 0),
    ]


def test_what_was_appended_but_not_yet_noted_as_shipped_counts_once(spool, log, record):
    spool.append([record(0), record(1)])
    log.writer._append(spool.id, spool.read(0))
    report = audit(spool, log)
    assert (report.complete, report.logged, report.spooled) == (True, 2, 0)


def test_lost_records_are_named_by_process_and_number(spool, log, record):
    spool.append([record(number) for number in range(10)])
    with spool._file.writing() as connection:
        connection.execute("DELETE FROM entries WHERE number IN (1, 4, 5, 10)")
    log.ship(spool)
    report = audit(spool, log)
    assert not report.complete
    assert report.gaps == (
        ("process-1", "flights", 1, 1),
        ("process-1", "flights", 4, 5),
        ("process-1", "flights", 10, 10),
    )
    assert (report.answered, report.logged) == (10, 6)


def test_a_record_that_is_in_the_log_twice_is_found(spool, log, record):
    spool.append([record(0), record(1)])
    log.ship(spool)
    log.writer._append("as if it were another spool", spool.read(1))
    report = audit(spool, log)
    assert (report.complete, report.gaps, report.processes[0].twice) == (False, (), 1)


def test_what_waits_and_is_lost_shows_at_the_tail(spool, log, record):
    spool.append([record(number) for number in range(10)])
    log.ship(spool)
    spool.append([record(number) for number in range(10, 15)])
    with spool._file.writing() as connection:
        connection.execute("DELETE FROM entries WHERE number > 13")
    report = audit(spool, log)
    assert (report.complete, report.gaps) == (False, (("process-1", "flights", 14, 15),))


def newest(folder: Path, pattern: str) -> Path:
    return max(folder.glob(pattern), key=lambda file: file.stat().st_mtime_ns)


@pytest.fixture
def shipped(spool, log, rollups, record) -> Path:
    """Two commits of two rows each; the table's folder."""
    for first in (0, 2):
        spool.append([record(first), record(first + 1)])
        rollups.catch_up(spool, lambda *_: None)
        log.ship(spool)
    return Path(log.place.address, "predictions", "flights")


class TestWhatIsLostOfTheLog:
    def test_the_newest_commit(self, spool, log, rollups, shipped):
        newest(shipped, "_delta_log/*.json").unlink()
        report = audit(spool, log, rollups)
        assert report.gaps == (("process-1", "flights", 3, 4),)
        assert report.problems == ("the log's newest commits are gone: it was given entries up to 4, and has 2",)

    def test_a_file(self, spool, log, rollups, shipped):
        newest(shipped, "date=*/*.parquet").unlink()
        report = audit(spool, log, rollups)
        assert report.gaps == (("process-1", "flights", 3, 4),)
        assert "of flights is gone" in report.problems[0]
        with pytest.raises(CorruptedError, match="is gone or damaged"):
            log.read("flights", MARCH, MARCH.replace(day=2))

    def test_a_file_that_is_cut(self, spool, log, rollups, shipped):
        os.truncate(newest(shipped, "date=*/*.parquet"), 1000)
        report = audit(spool, log, rollups)
        assert report.gaps == (("process-1", "flights", 3, 4),)
        assert "of flights is damaged" in report.problems[0]

    def test_a_file_and_the_spool_too(self, log, shipped, tmp_path):
        newest(shipped, "date=*/*.parquet").unlink()
        report = audit(Spool(tmp_path / "another.sqlite"), log)
        assert report.gaps == (("process-1", "flights", 3, 4),)  # the table knows what it was given
        assert report.processes[0].known_by == "log"


def test_what_a_lost_spool_had_not_shipped_is_named_by_number(
    spool, log, rollups, record, march, tmp_path, monkeypatch
):
    spool.append([record(number) for number in range(475)])
    log.ship(spool)
    spool.append([record(475, role="shadow"), *(record(number) for number in range(475, 480))])
    spool.feedback([("p3", "late", march)], model="flights")
    rollups.catch_up(spool, lambda *_: None)
    other = Spool(tmp_path / "another.sqlite")
    alive = audit(other, log, rollups)
    assert (alive.complete, alive.answered, alive.logged, alive.spooled) == (True, 480, 475, 5)
    monkeypatch.setattr(heartbeats, "ALIVE_SECONDS", -1)
    lost = audit(other, log, rollups)
    assert (lost.complete, lost.answered, lost.logged, lost.spooled) == (False, 480, 475, 0)
    assert lost.gaps == (("process-1", "flights", 476, 481),)
    told = rf"its home \({socket.gethostname()}:{spool.path}\) was last heard of at 20\d\d-\d\d-\d\d \d\d:\d\d:\d\d UTC"
    rows, labels = lost.problems
    numbers = "5 of 480 answered rows of flights, numbers 476-481"
    assert re.fullmatch(f"replica process-1: {numbers}, were never shipped; {told}", rows)
    assert re.fullmatch(
        f"a spool had entries up to 482, predictions and labels, and the log .* 475 only; {told}", labels
    )
    log.ship(spool)
    assert audit(other, log, rollups).complete, "it came back"


def test_a_spool_with_another_in_its_place_is_lost_at_once(log, rollups, record, tmp_path):
    path = tmp_path / "home" / "spool.sqlite"
    path.parent.mkdir()
    first = Spool(path)
    first.append([record(0)])
    rollups.catch_up(first, lambda *_: None)
    first.close()
    for file in path.parent.iterdir():
        file.unlink()
    assert audit(Spool(path), log, rollups).gaps == (("process-1", "flights", 1, 1),)


@pytest.mark.parametrize("injected", ["newest commit", "file", "file in the middle"])
def test_what_the_log_loses_of_another_replica_is_found_while_that_lives(
    spool, log, rollups, shipped, injected, tmp_path
):
    rollups.catch_up(spool, lambda *_: None)
    if injected == "newest commit":
        newest(shipped, "_delta_log/*.json").unlink()
    else:
        files = sorted(shipped.glob("date=*/*.parquet"), key=lambda file: file.stat().st_mtime_ns)
        files[-1 if injected == "file" else 0].unlink()
    report = audit(Spool(tmp_path / "another.sqlite"), log, rollups)
    assert report.gaps == (("process-1", "flights", *((1, 2) if injected == "file in the middle" else (3, 4))),)


def test_an_old_copy_of_the_spool(spool, log, rollups, shipped):
    with spool._file.writing() as connection:
        connection.execute("UPDATE sqlite_sequence SET seq = 2 WHERE name = 'entries'")
    assert "it is an old copy: it ends at 2, and up to 4 were" in audit(spool, log, rollups).problems[0]


def test_rows_that_share_an_id_are_told_apart(spool, log, record):
    spool.append([record(number, prediction_id="1") for number in range(6)])
    log.ship(spool)
    spool.append([record(number, prediction_id="1") for number in range(6, 10)])
    assert spool.feedback([("1", "late", None)], model="flights").accepted == 1
    report = audit(spool, log)
    assert (report.complete, report.answered, report.logged, report.spooled) == (True, 10, 6, 4)
    with spool._file.writing() as connection:
        connection.execute("DELETE FROM entries WHERE number = 8")
    log.ship(spool)
    report = audit(spool, log)
    assert (report.complete, report.gaps, report.logged) == (False, (("process-1", "flights", 8, 8),), 9)
