"""A spool that has lost its newest entries says so, and loses nothing more."""

import logging
import os
import shutil
import sqlite3
from pathlib import Path

import pytest

from mlops_dagster.database import open_database, reading, writing
from mlops_dagster.database.damage import dropped_transactions
from mlops_dagster.predictions import Rollups, Spool, audit

pytestmark = pytest.mark.parametrize("address", ["folder"], indirect=True)


def killed(home: Path, copy: Path) -> Path:
    """The files of a home as a process that is killed leaves them."""
    shutil.copytree(home, copy)
    for shared in copy.glob("*-shm"):
        shared.unlink()
    return copy


def damage(file: Path, at: float) -> None:
    """Flip a bit at this share of a file."""
    with file.open("r+b") as opened:
        opened.seek(int(file.stat().st_size * at))
        byte = opened.read(1)[0]
        opened.seek(-1, os.SEEK_CUR)
        opened.write(bytes([byte ^ 1]))


@pytest.mark.parametrize("at", [0.3, 0.0])
def test_entries_dropped_with_a_damaged_log_of_sqlite_are_told_and_their_numbers_never_used_again(
    spool, log, record, tmp_path, caplog, at
):
    for number in range(40):
        spool.append([record(number)])
    Rollups(f"sqlite:///{tmp_path}/rollups.sqlite").catch_up(spool, lambda *_: None)
    home = killed(tmp_path, tmp_path.with_name(f"{tmp_path.name}-killed"))
    assert dropped_transactions(home / "spool.sqlite-wal") == 0
    if at == 0.0:  # the database has nothing but what is in its write-ahead log, so another one is made in its place
        spool._file._reader.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        spool.append([record(40)])
        spool.index()
        shutil.rmtree(home)
        killed(tmp_path, home)
    damage(home / "spool.sqlite-wal", at)
    with caplog.at_level(logging.ERROR):
        damaged = Spool(home / "spool.sqlite")
    (loss,) = damaged.losses()
    kept = len(damaged.read(0))
    assert (loss.first, loss.last) == (kept + 1, 41 if at == 0.0 else 40)
    assert loss.transactions >= loss.entries
    assert f"lost entries {loss.first} to {loss.last}" in caplog.text
    assert damaged.depth().lost == loss.entries
    assert damaged.append([record(100, process="process-2")]) == loss.last + 1
    log.ship(damaged)
    report = audit(damaged, log)
    assert log.count("flights") == kept + 1  # the new answer has not been taken for one that was shipped
    assert not report.complete
    assert str(loss) in report.problems[0]
    again = Spool(home / "spool.sqlite")
    assert again.losses() == [loss]
    assert len(again.losses()) == 1


def test_an_older_state_of_the_spool_is_told(spool, log, record, tmp_path, caplog):
    """As power that fails leaves it, where answers need not survive that."""
    spool.append([record(0), record(1)])
    home = killed(tmp_path, tmp_path.with_name(f"{tmp_path.name}-killed"))
    spool.append([record(2), record(3)])
    spool.index()
    log.ship(spool)
    shutil.copy(tmp_path / "spool.awaiting.sqlite-wal", home)
    older = Spool(home / "spool.sqlite")
    (loss,) = older.losses()
    assert (loss.first, loss.last, loss.cause) == (3, 4, "older file")
    older.append([record(4, process="process-2")])
    log.ship(older)
    assert log.count("flights") == 5  # two of which only the log has


@pytest.mark.parametrize("reader", ["index", "rollups", "log", "depth"])
def test_an_entry_whose_bytes_are_damaged_is_told_and_stops_nobody(spool, log, record, tmp_path, caplog, reader):
    """Whoever meets it first: a bit of its body flips before the index reads it, or after."""
    rollups = Rollups(f"sqlite:///{tmp_path}/rollups.sqlite")
    spool.append([record(1, model="other"), record(0)])
    if reader != "index":
        spool.index()
    with sqlite3.connect(spool.path) as connection:  # what a page holds, SQLite does not check
        connection.execute("UPDATE entries SET body = CAST(replace(body, 'p1', 'p3') AS BLOB) WHERE number = 1")
    spool.append([record(2), record(3, model="other")])
    with caplog.at_level(logging.ERROR):
        {
            "index": spool.index,
            "rollups": lambda: rollups.catch_up(spool, lambda *_: None),
            "log": lambda: log.ship(spool),
            "depth": spool.depth,
        }[reader]()
    (loss,) = spool.losses()
    assert (loss.first, loss.last, loss.cause) == (1, 1, "damaged entry")
    assert caplog.text.count("lost entries 1 to 1, whose bytes on the disk") == 1
    assert rollups.catch_up(spool, lambda *_: None) == 4
    log.ship(spool)
    assert (log.count("flights"), log.count("other")) == (2, 1)
    report = audit(spool, log, rollups)
    assert [gap[1:] for gap in report.gaps] == [("other", 1, 1)]
    assert str(loss) in report.problems[0]
    assert spool.depth().lost == 1


def test_transactions_dropped_of_any_database_are_told(tmp_path, caplog, address):
    database = open_database(f"sqlite:///{tmp_path}/mlops.sqlite")
    for statement in ["CREATE TABLE t (a)", *["INSERT INTO t VALUES (randomblob(4000))"] * 20]:
        with writing(database) as connection:
            connection.exec_driver_sql(statement)
    home = killed(tmp_path, tmp_path.with_name(f"{tmp_path.name}-killed"))
    damage(home / "mlops.sqlite-wal", 0.5)
    with caplog.at_level(logging.ERROR):
        damaged = open_database(f"sqlite:///{home}/mlops.sqlite")
    with reading(damaged) as connection:
        kept = connection.exec_driver_sql("SELECT count(*) FROM t").scalar_one()
    assert f"is damaged: {20 - kept} transactions" in caplog.text
    caplog.clear()
    open_database(f"sqlite:///{home}/mlops.sqlite")
    assert not caplog.text


def test_a_log_that_others_write_is_not_told_as_lost(tmp_path, caplog, address):
    """The frames of a writer that was killed before its commit was over stay behind those that overwrite them."""
    url = f"sqlite:///{tmp_path}/mlops.sqlite"
    database = open_database(url)
    for statement in ["CREATE TABLE t (a)", "INSERT INTO t VALUES (randomblob(4000))"]:
        with writing(database) as connection:
            connection.exec_driver_sql(statement)
    log = tmp_path / "mlops.sqlite-wal"
    frames = log.read_bytes()[32:]
    with log.open("ab") as file:
        file.write(2 * frames[-4120:])  # the last commit again, whose checksums do not continue the log here
    assert dropped_transactions(log) == 2
    with caplog.at_level(logging.ERROR):
        others = open_database(url)
    assert not caplog.text
    with writing(others) as connection:
        connection.exec_driver_sql("INSERT INTO t VALUES (1)")
    with reading(database) as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM t").scalar_one() == 2
