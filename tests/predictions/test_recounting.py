"""Counts that were lost are counted again from the log: as they were, and nothing twice."""

import random
import shutil
from datetime import timedelta

import pytest
from sqlalchemy import select

from mlops_dagster.errors import CorruptedError, CountsLostError, StorageError
from mlops_dagster.predictions import Answered, PredictionRecord, Rollups, recount
from mlops_dagster.predictions.log.writer import LogWriter
from mlops_dagster.predictions.rollups.counting.units import unit_of
from mlops_dagster.predictions.rollups.tables import HEARTBEATS, TABLES, arms
from mlops_dagster.statistics import CategoricalBins, NumericBins
from tests.support.predictions.records import MARCH, a_record

BINS = {
    "hour": NumericBins((6.0, 12.0)),
    "carrier": CategoricalBins(("AA", "UA")),
    "Hour": CategoricalBins(("am", "pm")),
    "HOUR": CategoricalBins(("day", "night")),
    "score": NumericBins((0.5,)),
}
"""Three of them are one name to the log, which has a column for each."""


def a_request(chance: random.Random, number: int) -> list[PredictionRecord]:
    """What a canary rollout records of one request: the answer, and what the other arm said, now or later."""
    canary, key = chance.random() < 0.3, chance.choice([None, "ada", "bob", "cyd"])
    at = MARCH + timedelta(minutes=45 * number)
    features = {
        "hour": chance.choice([float(number % 24), None]),
        "carrier": chance.choice(["UA", "AA", None, 7.0]),
        "Hour": chance.choice(["am", "pm"]),
        "HOUR": chance.choice(["day", "night", None]),
    }
    role, other = ("canary", "1.0.0") if canary else ("champion", "1.1.0")
    version = "1.1.0" if canary else "1.0.0"
    unit = unit_of("salt", key, {name: [value] for name, value in features.items()}, 0, at)

    def scored(**changes: object) -> PredictionRecord:
        failed = chance.random() < 0.1
        found = a_record(number, event_time=at, key=key, unit=unit, features=features, weight=0.3, **changes)
        found = found._replace(latency_ms=chance.choice([5.0, 900.0]), score=chance.random())
        answer = chance.choice(["late", "on_time"])
        return found._replace(status="failed", prediction=None) if failed else found._replace(prediction=answer)

    answer = scored(version=version, role=role)
    return [answer, scored(version=other, role="paired", beside=Answered(version, role, answer.status))]


def everything(rollups: Rollups) -> dict[str, list[tuple[object, ...]]]:
    """All rows of all tables, with arms by what they are: their ids come in the order of their first count."""
    known = {row.id: tuple(row[1:]) for row in rollups.rows(select(arms))}
    return {
        table.name: sorted(
            (
                tuple(known[value] if name == "arm" else value for name, value in row._mapping.items())
                for row in rollups.rows(select(table))
            ),
            key=repr,
        )
        for table in TABLES.sorted_tables
        if table.name not in ("arms", "cursors", "shed") and table not in HEARTBEATS
    }


@pytest.fixture
def counts(request, tmp_path, postgresql):
    url = postgresql if request.param == "shared" else f"sqlite:///{tmp_path}/rollups.sqlite"
    found = Rollups(url, consumer=request.param)
    yield found
    found.close()


@pytest.mark.parametrize("address", ["folder"], indirect=True)
@pytest.mark.parametrize("counts", ["rolled_up", "shared"], indirect=True)
@pytest.mark.parametrize("lost", ["all", "the newest"])
def test_lost_counts_are_counted_again_as_they_were(spool, log, counts, lost):
    """Whatever is in the log only, in the spool only, or in both; labels that came before their arms among it."""
    chance = random.Random(7)  # noqa: S311 - not for secrets
    spool.marks.keep_for([counts.consumer, "shipped"])

    def catch_up() -> None:
        counts.catch_up(spool, lambda *_: BINS, slow_ms_of=lambda _: 200.0)

    late: list[PredictionRecord] = []
    for round_ in range(6):
        if lost == "the newest" and round_ == 2:
            with counts._database.begin() as connection:
                copy = {table: connection.execute(select(table)).all() for table in TABLES.sorted_tables}
        for number in range(25 * round_, 25 * (round_ + 1)):
            answer, beside = a_request(chance, number)
            spool.append([answer, *late])
            late = []
            if chance.random() < 0.5:
                spool.append([beside])
            else:
                late = [beside]
            if chance.random() < 0.7:
                labelled = number - chance.choice([0, 0, 7])
                spool.feedback([(f"p{labelled}", chance.choice(["late", "on_time"]), None)], model="flights")
        if round_ in (1, 3, 4):
            catch_up()
        if round_ in (1, 2, 4):
            log.ship(spool)
    catch_up()
    before = everything(counts)

    with counts._database.begin() as connection:
        for table in TABLES.sorted_tables:
            connection.execute(table.delete())
            if lost == "the newest" and copy[table]:
                connection.execute(table.insert(), [row._asdict() for row in copy[table]])
    with pytest.raises(CountsLostError, match="`mlops predictions recount`"):
        catch_up()
    again = {"bins_of": lambda *_: BINS, "slow_ms_of": lambda _: 200.0, "shared_log": counts.consumer == "shared"}
    found = recount(counts, spool, log, **again, only_if_lost=True)
    assert found.predictions == log.count("flights", roles=["champion", "canary", "paired"])
    catch_up()
    after = everything(counts)
    for name, rows in before.items():
        assert after[name] == rows, name
    assert recount(counts, spool, log, **again, only_if_lost=True) is None
    spool.append(a_request(chance, 400))
    recount(counts, spool, log, **again, only_if_lost=False)
    catch_up()
    assert len(everything(counts)["minutes"]) >= len(before["minutes"])


@pytest.mark.parametrize("address", ["folder"], indirect=True)
@pytest.mark.parametrize("counts", ["rolled_up", "shared"], indirect=True)
@pytest.mark.parametrize("trouble", ["held back", "a file is damaged", "no folder"])
def test_a_model_whose_log_is_not_whole_is_left_out_and_all_others_are_counted(
    spool, log, counts, monkeypatch, tmp_path, trouble
):
    """Its counts would lack something for good, so there are none, until all is counted again."""
    spool.marks.keep_for([counts.consumer, "shipped"])
    spool.append([a_record(0), a_record(1, model="other")])
    spool.feedback([("p0", "late", None)], model="flights")
    counts.catch_up(spool, lambda *_: BINS)
    again = {"bins_of": lambda *_: BINS, "slow_ms_of": lambda _: 200.0, "shared_log": False, "only_if_lost": False}
    with monkeypatch.context() as broken:
        if trouble == "held back":
            torn = lambda _log, table, *rest: (_ for _ in ()).throw(CorruptedError("it is torn"))  # noqa: E731
            real = LogWriter._append_predictions
            broken.setattr(
                LogWriter,
                "_append_predictions",
                lambda its, table, *rest: (torn if "flights" in table else real)(its, table, *rest),
            )
        else:
            log.ship(spool)
            folder = tmp_path / "log" / "predictions" / "flights"
            away = shutil.copytree(folder, tmp_path / "away")
            if trouble == "no folder":
                shutil.rmtree(folder / "_delta_log")
                (folder / "_delta_log").write_text("a file")
            else:
                next(folder.rglob("*.parquet")).write_bytes(b"PAR1")
        found = recount(counts, spool, log, **again)
        assert (found.predictions, found.labels) == (1, 0)
        assert list(found.left_out) == ["flights"]
        assert counts.models() == ["other"]
    if trouble != "held back":
        shutil.rmtree(folder)
        away.rename(folder)
    log.ship(spool)
    assert recount(counts, spool, log, **again) == (2, 1, {})
    assert counts.models() == ["flights", "other"]


@pytest.mark.parametrize("address", ["folder"], indirect=True)
@pytest.mark.parametrize("counts", ["rolled_up"], indirect=True)
def test_nothing_is_counted_again_while_nothing_can_be_read(spool, log, counts, monkeypatch):
    """Counts of nothing would pass for counts: it is tried again instead."""
    spool.append([a_record(0)])
    log.ship(spool)
    counts.catch_up(spool, lambda *_: BINS)
    again = {"bins_of": lambda *_: BINS, "slow_ms_of": lambda _: 200.0, "shared_log": False, "only_if_lost": False}
    with monkeypatch.context() as away:
        away.setattr(type(log.place), "is_writable", lambda _: False)
        away.setattr(log, "prediction_rows", lambda *_, **__: (_ for _ in ()).throw(StorageError("it is away")))
        with pytest.raises(StorageError, match="it is away"):
            recount(counts, spool, log, **again)
    assert counts.models() == ["flights"]
    with monkeypatch.context() as broken:
        broken.setattr(log.writer, "_append_labels", lambda *_: (_ for _ in ()).throw(CorruptedError("it is torn")))
        spool.feedback([("p0", "late", None)], model="flights")
        with pytest.raises(StorageError, match=r"1 entries are held back, as labels .*\(it is torn\)"):
            recount(counts, spool, log, **again)
    assert counts.models() == ["flights"]
