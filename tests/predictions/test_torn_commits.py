"""A Delta table of which a loss of power, or a disk, has left torn files: mended where nothing is lost, else named."""

import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from deltalake import DeltaTable

from mlops_dagster.errors import CorruptedError
from mlops_dagster.predictions import PredictionLog, Spool, audit
from mlops_dagster.predictions.log.delta import tables as delta
from mlops_dagster.predictions.log.delta import upkeep
from tests.support.predictions.records import MARCH, a_record

pytestmark = pytest.mark.parametrize("address", ["folder"], indirect=True)


def commit(table: Path, back: int = 0) -> Path:
    return sorted(table.glob("_delta_log/*.json"))[-1 - back]


def rows(table: Path) -> Path:
    return max(table.glob("date=*/*.parquet"), key=lambda file: file.stat().st_mtime_ns)


def checkpoint(table: Path) -> Path:
    DeltaTable(str(table)).create_checkpoint()
    return next(table.glob("_delta_log/*.checkpoint.parquet"))


def cut(share: float) -> Callable[[Path], None]:
    return lambda file: os.truncate(file, int(file.stat().st_size * share))


def zeroed(file: Path) -> None:
    """The length was written, the bytes were not."""
    file.write_bytes(bytes(file.stat().st_size))


DAMAGES = {"empty": cut(0), "cut": cut(0.3), "zeroed": zeroed, "gone": Path.unlink}


@pytest.fixture
def unconfirmed(spool, log, record, tmp_path) -> Path:
    """Three commits, of which the spool does not know yet that the last one was made; the table's folder."""
    for first in (0, 2):
        spool.append([record(first), record(first + 1)])
        log.ship(spool)
    spool.append([record(4), record(5)])
    log.writer._append(spool.id, spool.read(spool.marks.get("shipped")))
    return Path(log.place.address, "predictions", "flights")


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("which", [commit, rows, checkpoint], ids=lambda each: each.__name__)
def test_what_a_loss_of_power_tears_is_mended_and_shipped_again(spool, log, record, unconfirmed, which, damage, caplog):
    DAMAGES[damage](which(unconfirmed))
    opened = PredictionLog(log.place.address)
    spool.append([record(6)])
    opened.ship(spool)
    found = opened.read("flights", MARCH, MARCH.replace(day=2), ["prediction_id"])["prediction_id"].to_pylist()
    assert found == [f"p{number}" for number in range(7)]
    assert audit(spool, opened).complete
    assert ("is taken back" in caplog.text) == (which is not checkpoint and (which, damage) != (commit, "gone"))


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("by", ["merged", "without rows"])
def test_files_that_took_the_place_of_others_and_are_torn_give_it_back(spool, log, unconfirmed, damage, by, caplog):
    """A loss of power between the commit of a merge or an erasure and its sync; the files before are still there."""
    log.ship(spool)
    table = DeltaTable(str(unconfirmed))
    if by == "merged":
        table.optimize.compact()
    else:
        at = log.place.table("predictions/flights")
        with upkeep.deletable(at) as table:
            day = MARCH.date()
            its = delta.rows_of(at, table, [("date", "=", str(day))])
            upkeep.replace_day(at, table, day, its.scanner().to_reader())
        while '"add"' not in commit(unconfirmed).read_text():
            commit(unconfirmed).unlink()  # the fence that follows: it was not synced either
    DAMAGES[damage](rows(unconfirmed))
    spool.append([a_record(6)])
    opened = PredictionLog(log.place.address)
    assert opened.ship(spool) == 1
    assert opened.count("flights") == 7
    assert audit(spool, opened).complete
    assert "is taken back" in caplog.text


def test_readers_name_a_torn_version(log, unconfirmed):
    cut(0.3)(commit(unconfirmed))
    with pytest.raises(CorruptedError, match=r"version 3 is torn; `mlops serve` mends it"):
        PredictionLog(log.place.address).count("flights")


@pytest.mark.parametrize("damage", DAMAGES)
def test_an_older_version_that_is_torn_is_named_with_the_way_out(spool, log, record, unconfirmed, damage, tmp_path):
    DAMAGES[damage](commit(unconfirmed, back=1))
    spool.append([record(6)])
    waiting = len(spool.read(spool.marks.get("shipped")))
    assert PredictionLog(log.place.address).ship(spool) == 0
    (held,) = spool.held.tables()
    assert held.entries == waiting
    assert re.search(r"version 2 is (torn|gone).* restore the folder from a backup; or move", held.reason)
    shutil.move(unconfirmed, tmp_path / "aside")
    opened = PredictionLog(log.place.address)
    assert opened.ship(spool) == waiting
    assert opened.count("flights") == 3
    assert audit(spool, opened).gaps == (("process-1", "flights", 1, 4),)


def test_rows_that_are_torn_before_a_later_version_are_not_let_go_of(spool, log, record, unconfirmed, tmp_path):
    torn = rows(unconfirmed)
    other = Spool(tmp_path / "other.sqlite")
    other.append([record(9, process="process-2")])
    log.ship(other)
    cut(0)(torn)
    assert PredictionLog(log.place.address).ship(spool) == 0
    (held,) = spool.held.tables()
    assert held.entries == 2
    assert re.search("version 3 of the log .* lacks 1 file, gone or torn, and later versions follow", held.reason)
