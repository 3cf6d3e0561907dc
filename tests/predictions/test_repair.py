"""A log that two compactions have doubled: one of each row stays, wherever the repair is killed."""

import json
from datetime import timedelta

import pytest
from deltalake import DeltaTable
from deltalake.table import TableAlterer
from typer.testing import CliRunner

from mlops_dagster.cli import app
from mlops_dagster.predictions import Doubled, PredictionLog, Rollups, audit, find_doubled, repair
from mlops_dagster.predictions.log.delta import tables as delta
from mlops_dagster.predictions.log.delta import upkeep

DAYS = 3
PER_DAY = 24 * 60


@pytest.fixture
def rollups(tmp_path) -> Rollups:
    return Rollups(f"sqlite:///{tmp_path}/rollups.sqlite")


@pytest.fixture
def before(spool, log, rollups, record, march):
    """The log of three days, each shipped in three pieces and the last day not doubled; its rows and labels."""
    for number in range(3 * DAYS):
        at = number // 3 * PER_DAY + number
        spool.append([record(at), record(at, role="shadow"), record(at, model="other")])
        spool.feedback([(f"p{at}", "late", march + timedelta(minutes=at))], model="flights")
        log.ship(spool)
    rollups.catch_up(spool, lambda *_: None)
    before = contents(log, march)
    for name in ("predictions/flights", "labels"):
        at = log.place.table(name)
        compactors = [DeltaTable(at.uri, storage_options=at.options) for _ in range(3)]
        for compactor in compactors:
            compactor.optimize.compact([("date", "in", ["2013-03-01", "2013-03-02"])])
    return before


def contents(log: PredictionLog, march):
    rows = log.labelled("flights", march, march + timedelta(days=DAYS), roles=["champion", "shadow"])
    return rows.to_pylist(), log.label_counts("flights", march), log.count("other")


def test_the_counts_are_told_first_and_then_one_of_each_stays(spool, log, rollups, before, march):
    counted = rollups.events("flights", march, march + timedelta(days=DAYS))
    expected = [
        Doubled("predictions/flights", rows=18 + 2 * 12, surplus=2 * 12, days=2),
        Doubled("predictions/other", rows=9, surplus=0, days=0),
        Doubled("labels", rows=9 + 2 * 6, surplus=2 * 6, days=2),
    ]
    report = audit(spool, log, rollups)
    assert (report.twice, report.complete) == (24, False)
    assert find_doubled(log) == expected
    assert audit(spool, log, rollups) == report, "nothing was changed"
    assert repair(log) == expected
    assert contents(log, march) == before
    assert audit(spool, log, rollups).complete
    assert rollups.events("flights", march, march + timedelta(days=DAYS)) == counted
    assert not any(each.surplus for each in repair(log))
    for name in ("predictions/flights", "labels"):
        assert delta.open_table(log.place.table(name)).metadata().configuration["delta.appendOnly"] == "true"
    log.tidy()
    assert contents(log, march) == before


@pytest.mark.parametrize("address", ["folder"], indirect=True)
def test_the_command_counts_or_repairs(before, tmp_path, monkeypatch):
    monkeypatch.setenv("MLOPS_HOME", str(tmp_path))
    for options, surplus in ((["--dry-run"], 36), (["--dry-run"], 36), ([], 36), ([], 0)):
        result = CliRunner().invoke(app, ["predictions", "repair", "--json", *options])
        found = json.loads(result.stdout)
        assert (result.exit_code, found["dry_run"]) == (0, bool(options))
        assert sum(table["surplus"] for table in found["tables"]) == surplus


@pytest.mark.parametrize("address", ["folder"], indirect=True)
@pytest.mark.parametrize("after", [True, False])
@pytest.mark.parametrize("where", ["replace_day", "set_table_properties"])
@pytest.mark.parametrize("call", [0, 1])
def test_a_repair_that_dies_is_picked_up_by_running_it_again(
    spool, log, rollups, before, march, monkeypatch, where, after, call
):
    owner = {"replace_day": upkeep, "set_table_properties": TableAlterer}[where]
    real, calls = getattr(owner, where), iter(range(100))

    def dies(*args, **options):
        dying = next(calls) >= call
        if after or not dying:
            done = real(*args, **options)
        if dying:
            raise KeyboardInterrupt
        return done

    with monkeypatch.context() as crash:
        crash.setattr(owner, where, dies)
        with pytest.raises(KeyboardInterrupt):
            repair(log)
    assert not audit(spool, log, rollups).gaps
    repair(log)
    assert contents(log, march) == before
    assert audit(spool, log, rollups).complete


@pytest.mark.parametrize("address", ["folder"], indirect=True)
def test_rows_that_are_shipped_meanwhile_stay(spool, log, before, record, march, monkeypatch):
    replace_day, overtaken = upkeep.replace_day, []

    def overtake(*args):
        if not overtaken:
            overtaken.append(True)
            spool.append([record(7)])
            log.ship(spool)
        return replace_day(*args)

    monkeypatch.setattr(upkeep, "replace_day", overtake)
    repair(log)
    assert audit(spool, log).complete
    assert log.count("flights") == 3 * DAYS + 1
