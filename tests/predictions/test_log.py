import multiprocessing
import threading
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from deltalake import DeltaTable

from mlops_dagster.errors import InvalidInputError, PredictionNotFoundError, StorageError
from mlops_dagster.predictions import Answered, PredictionLog, Rollups, Spool, audit

in_a_folder = pytest.mark.parametrize("address", ["folder"], indirect=True)
"""For what no other place can change."""


def table_of(log: PredictionLog, name: str) -> DeltaTable:
    at = log.place.table(name)
    return DeltaTable(at.uri, storage_options=at.options)


def days(number: int) -> timedelta:
    return timedelta(days=number)


def ids(table) -> list[str]:
    return table["prediction_id"].to_pylist()


def test_every_column_comes_back(spool, log, record, march):
    spool.append(
        [
            record(0, features={"temp": 41.5, "carrier": "UA", "precip": None}, key="N1", row=3,
                   tensors={"probabilities": [0.25, 0.75]}, preprocess_ms=1.0, inference_ms=3.0, postprocess_ms=0.5,
                   trace_id="0af7651916cd43dd8448eb211c80319c", unit="p0's",
                   beside=Answered("1.1.0", "canary", "ok")),
            record(1, role="none", version="", status="rejected", error="no feature 'temp'", features={},
                   prediction=None, score=None, raw='{"inputs": []}'),
        ]
    )  # fmt: skip
    assert log.ship(spool) == 2
    accepted, rejected = log.read("flights", march, march + days(1)).to_pylist()
    assert accepted == {
        "prediction_id": "p0",
        "request": "r0",
        "version": "1.0.0",
        "role": "champion",
        "weight": 1.0,
        "epoch": 1,
        "salt": "salt",
        "key": "N1",
        "event_time": march,
        "received_at": march + days(5000),
        "status": "ok",
        "error": None,
        "code": None,
        "prediction": "late",
        "score": 0.75,
        "latency_ms": 5.0,
        "beside": {"version": "1.1.0", "role": "canary", "status": "ok"},
        "number": 1,
        "process": "process-1",
        "sequence": 1,
        "row": 3,
        "raw": None,
        "probabilities": [0.25, 0.75],
        "preprocess_ms": 1.0,
        "inference_ms": 3.0,
        "postprocess_ms": 0.5,
        "trace_id": "0af7651916cd43dd8448eb211c80319c",
        "unit": "p0's",
        "date": date(2013, 3, 1),
        "feature_temp": 41.5,
        "feature_carrier": "UA",
    }
    assert rejected | {"error": "no feature 'temp'", "raw": '{"inputs": []}', "feature_temp": None} == rejected
    assert accepted["event_time"].tzinfo.utcoffset(None) == UTC.utcoffset(None)


@in_a_folder
def test_windows_are_half_open_and_roles_are_chosen(spool, log, record, march):
    spool.append([record(number * 720) for number in range(4)] + [record(0, role="shadow", prediction_id="beside")])
    log.ship(spool)
    noon = march + timedelta(hours=12)
    assert ids(log.read("flights", noon, march + days(1))) == ["p720"]
    assert ids(log.read("flights", noon, march + days(1) + timedelta(microseconds=1))) == ["p720", "p1440"]
    assert ids(log.read("flights", march, noon, roles=["shadow"])) == ["beside"]
    assert log.read("flights", march, noon, ["score", "feature_snow"]).to_pydict() == {
        "score": [0.75],
        "feature_snow": [None],
    }
    with pytest.raises(InvalidInputError, match=r"flights has no columns \['scores'\]; it has"):
        log.read("flights", march, noon, ["scores"])
    assert (log.count("flights"), log.count("flights", ["shadow"]), log.models()) == (4, 1, ["flights"])


@in_a_folder
def test_a_model_that_never_served_has_an_empty_log(log, march):
    assert log.read("unknown", march, march + days(1)).num_rows == 0
    assert log.labelled("unknown", march, march + days(1)).num_rows == 0
    assert (log.count("unknown"), log.count_labelled("unknown"), log.models()) == (0, 0, [])


def test_the_latest_label_is_joined_to_all_rows(spool, log, record, march):
    spool.append([record(0), record(1), record(2), record(0, prediction_id="other", model="other")])
    spool.feedback([("p0", "late", march + days(1)), ("p1", "late", march + days(1))], model="flights")
    log.ship(spool)
    spool.feedback([("p1", "on_time", march + days(2))], model="flights")
    spool.feedback([("other", "on_time", march)], model="other")
    spool.feedback([("p0", "on_time", march)], model="flights")  # a correction that was known earlier does not hold
    log.ship(spool)
    table = log.labelled("flights", march, march + days(1))
    assert list(zip(ids(table), table["label"].to_pylist(), table["labelled_at"].to_pylist(), strict=True)) == [
        ("p0", "late", march + days(1)),
        ("p1", "on_time", march + days(2)),
        ("p2", None, None),
    ]
    assert table.drop_columns(["model", "label", "labelled_at"]).equals(log.read("flights", march, march + days(1)))
    assert log.answers("unknown", march, march + days(1)).requests == {}
    assert log.count_labelled("flights") == 2
    # by the day of the prediction, not of the label; every correction counts, for it may change a report
    assert log.label_counts("flights", march) == {march.date(): 4}
    again = [
        ("p1", "on_time", march + days(2)),
        ("p1", "on_time", None),
        ("p1", "on_time", march),
        ("nobody", "late", None),
    ]
    spool.feedback(again, model="flights")
    log.ship(spool)
    assert log.label_counts("flights", march) == {march.date(): 4}
    assert log.label_counts("flights", march + days(1)) == {}


@in_a_folder
def test_the_order_in_which_labels_come_makes_no_difference(spool, log, record, march):
    """Each prediction has labels of several times; the one that holds is that of the last, known again or corrected."""
    generator = np.random.default_rng(6)
    spool.append([record(number) for number in range(60)])
    known = {f"p{number}": generator.choice(["late", "on_time"], 5).tolist() for number in range(60)}
    sent = [(name, label, march + days(1 + day)) for name, labels in known.items() for day, label in enumerate(labels)]
    generator.shuffle(sent)
    for start in range(0, len(sent), 50):
        spool.feedback(sent[start : start + 50], model="flights")
        if start == 100:
            log.ship(spool)
    log.ship(spool)
    rows = log.labelled("flights", march, march + days(1))
    assert dict(zip(ids(rows), rows["label"].to_pylist(), strict=True)) == {
        name: its[-1] for name, its in known.items()
    }


@in_a_folder
def test_a_label_is_known_neither_before_its_prediction_nor_after_it_came(spool, log, record, march):
    """Else it would be looked for on another day, or no correction could ever hold."""
    spool.append([record(0), record(1), record(2)])
    spool.feedback(
        [("p0", "late", march - days(400)), ("p1", "late", datetime.max.replace(tzinfo=UTC))], model="flights"
    )
    spool.feedback([("p2", "late", None)], now=march + days(1), model="flights")
    log.ship(spool)
    rows = log.labelled("flights", march, march + days(1)).to_pylist()
    assert [row["label"] for row in rows] == ["late"] * 3
    assert (rows[0]["labelled_at"], rows[2]["labelled_at"]) == (record(0).event_time, march + days(1))
    assert march < rows[1]["labelled_at"] <= datetime.now(UTC)
    spool.feedback([("p1", "on_time", None)], model="flights")
    log.ship(spool)
    assert log.get("p1")["label"] == "on_time"


def test_get_finds_the_answer_among_all_models(spool, log, record):
    spool.append([record(0), record(0, role="shadow", version="1.1.0"), record(1, model="other")])
    spool.feedback([("p0", "on_time", record(0).event_time)], model="flights")
    log.ship(spool)
    row = log.get("p0")
    assert (row["model"], row["role"], row["version"], row["label"]) == ("flights", "champion", "1.0.0", "on_time")
    assert log.get("p1", "other")["model"] == "other"
    for wanted in (("nowhere",), ("p1", "flights")):
        with pytest.raises(PredictionNotFoundError) as refusal:
            log.get(*wanted)
        assert refusal.value.message.startswith(f"no prediction '{wanted[0]}' in the log at {log.place.address}")


@in_a_folder
def test_a_feature_may_come_go_and_change_its_kind(spool, log, record, march):
    for number, features in enumerate(
        [{"gate": None}, {"gate": 7.0, "tail": 1}, {"gate": "B7"}, {"gate": None, "tail": 2**60}, {"tail": True}]
    ):
        spool.append([record(number, features=features)])
        log.ship(spool)
    spool.append([record(5, features={"gate": 8.0, "seat": "1A"}), record(6, features={"gate": "C1", "seat": 2.0})])
    log.ship(spool)
    columns = ["feature_gate", "feature_gate__text", "feature_tail", "feature_seat", "feature_seat__text"]
    assert log.read("flights", march, march + days(1), columns).to_pydict() == {
        "feature_gate": [None, 7.0, None, None, None, 8.0, None],
        "feature_gate__text": [None, None, "B7", None, None, None, "C1"],
        "feature_tail": [None, 1.0, None, 2.0**60, 1.0, None, None],
        "feature_seat": [None] * 6 + [2.0],
        "feature_seat__text": [None] * 5 + ["1A", None],
    }


def test_the_tables_are_append_only_and_compaction_changes_no_row(spool, log, record, march):
    for number in range(6):
        spool.append([record(number)])
        log.ship(spool)
    before = log.read("flights", march, march + days(1))
    with pytest.raises(Exception, match=r"[Aa]ppend"):
        table_of(log, "predictions/flights").delete()
    spool.append([record(days(1) // timedelta(minutes=1))])  # the day before is over
    log.ship(spool)
    assert len(table_of(log, "predictions/flights").file_uris()) == 7
    log.tidy()
    assert len(table_of(log, "predictions/flights").file_uris()) == 2
    log.tidy()
    assert log.read("flights", march, march + days(1)) == before
    spool.append([record(6)])
    again = log.writer._append(spool.id, spool.read(0))
    assert (again.rows, log.count("flights")) == (1, 8), "it still knows what it has"


@pytest.mark.parametrize("crash_after", ["flights", "labels"])
def test_a_crash_between_two_tables_appends_nothing_twice(spool, log, record, march, monkeypatch, crash_after):
    from mlops_dagster.predictions.log.delta import tables as delta

    append_once = delta.Appender.append_once

    def append_then_crash(self, at, *args):
        appended = append_once(self, at, *args)
        if at.uri.endswith(f"/{crash_after}"):
            raise KeyboardInterrupt
        return appended

    spool.append([record(0), record(1, model="other"), record(2)])
    spool.feedback([("p0", "late", march)], model="flights")
    with monkeypatch.context() as crash:
        crash.setattr(delta.Appender, "append_once", append_then_crash)
        with pytest.raises(KeyboardInterrupt):
            log.ship(spool)
    log.ship(spool)
    assert (log.count("flights"), log.count("other"), log.count_labelled("flights")) == (2, 1, 1)
    assert table_of(log, "labels").to_pyarrow_table().num_rows == 1


def test_an_overtaken_append_is_refused_and_looks_again(spool, log, record, monkeypatch):
    """Another process ships one of two entries between our reading of the table and our append."""
    from mlops_dagster.predictions.log.delta import tables as delta

    spool.append([record(0)])
    log.ship(spool)
    spool.append([record(1), record(2)])
    other, overtaken = PredictionLog(log.place.address), []
    feature_types = delta.feature_types

    def overtake(table):
        if not overtaken:
            overtaken.append(True)
            other.writer._append(spool.id, spool.read(1, limit=1))
        return feature_types(table)

    monkeypatch.setattr(delta, "feature_types", overtake)
    assert log.ship(spool) == 1
    assert (overtaken, log.count("flights")) == ([True], 3)


@in_a_folder
def test_a_spool_that_never_rests_is_shipped_in_rounds(spool, log, record, monkeypatch):
    """Each append and each indexing takes longer than the next request needs to come."""
    from mlops_dagster.predictions.log.delta import tables as delta

    coming = iter(range(1, 20))

    def slow(work):
        def working(*args):
            done = work(*args)
            spool.append([record(next(coming))])
            return done

        return working

    monkeypatch.setattr(delta.Appender, "append_once", slow(delta.Appender.append_once))
    monkeypatch.setattr(spool.awaiting, "add", slow(spool.awaiting.add))
    spool.append([record(0)])
    assert log.ship(spool) == 2, "the first entry, and the one that came while it was indexed"
    assert log.count("flights") == 2


@in_a_folder
def test_shipped_entries_wait_for_the_rollups(spool, log, record, tmp_path):
    spool.append([record(0), record(1)])
    log.ship(spool)
    assert len(spool.read(0)) == 2
    Rollups(f"sqlite:///{tmp_path}/rollups.sqlite").catch_up(spool, lambda *_: None)
    assert log.ship(spool) == 0
    assert spool.read(0) == []


@in_a_folder
def test_late_arms_give_no_row_and_do_not_stay_in_the_spool(spool, log, record, march, tmp_path):
    rollups = Rollups(f"sqlite:///{tmp_path}/rollups.sqlite")
    spool.append([record(0)])
    spool.feedback([("p0", "late", march)], model="flights")
    assert log.ship(spool) == 2
    spool.append([record(0, role="shadow", version="1.1.0")])
    assert log.ship(spool) == 1
    rollups.catch_up(spool, lambda *_: None)
    assert audit(spool, log, rollups).complete
    assert [entry.is_late for entry in spool.read(spool.marks.get("shipped"))] == []
    assert log.ship(spool) == 0
    assert spool.read(0) == []
    assert table_of(log, "labels").to_pyarrow_table().num_rows == log.count_labelled("flights") == 1
    assert [(arm.role, arm.counts.labelled) for arm in rollups.events("flights", march, march + days(1))] == [
        ("champion", 1),
        ("shadow", 1),
    ]
    assert audit(spool, log, rollups).complete


def test_a_log_that_cannot_be_written_keeps_the_spool(spool, tmp_path, record):
    (tmp_path / "log").write_text("a file where the folder should be")
    spool.append([record(0)])
    with pytest.raises(StorageError, match="cannot (open|create) the log"):
        PredictionLog(tmp_path / "log").ship(spool)
    assert len(spool.read(0)) == 1


def ship_all(address: str, spool: Path) -> None:
    PredictionLog(address).ship(Spool(spool))


def test_processes_and_threads_may_ship_at_once(spool, log, record):
    others = [
        multiprocessing.get_context("spawn").Process(target=ship_all, args=(log.place.address, spool.path))
        for _ in range(2)
    ]
    spool.append([record(number) for number in range(1000)])
    for other in others:
        other.start()
    threads = [threading.Thread(target=log.ship, args=(spool,)) for _ in range(2)]
    for thread in threads:
        thread.start()
    for number in range(1000, 1200):
        spool.append([record(number)])
        if number % 20 == 0:
            PredictionLog(log.place.address).ship(spool)
    for task in [*threads, *others]:
        task.join()
    assert [other.exitcode for other in others] == [0, 0]
    log.ship(spool)
    logged = table_of(log, "predictions/flights").to_pyarrow_table(columns=["sequence"])
    assert sorted(logged["sequence"].to_pylist()) == list(range(1, 1201))


@in_a_folder
def test_a_label_joins_its_own_row_and_no_other_of_the_same_id(spool, log, record, march):
    """A retry, a row of another request, or a client that calls all of them the same."""
    spool.append([record(0, prediction_id="1", status="failed", prediction=None)])
    spool.append([record(number, prediction_id="1") for number in range(1, 5)])
    spool.append([record(9, prediction_id="1", model="other")])
    spool.feedback([("1", "on_time", march + days(1))], model="flights")
    spool.feedback([("1", "late", march + days(2))], model="other")
    log.ship(spool)
    spool.feedback([("1", "late", march + days(3))], model="flights")
    log.ship(spool)
    rows = log.labelled("flights", march, march + days(1)).to_pylist()
    assert {row["request"]: row["label"] for row in rows} == {
        "r0": None, "r1": "late", "r2": None, "r3": None, "r4": None,
    }  # fmt: skip
    assert [log.count_labelled(model) for model in ("flights", "other")] == [1, 1]
    assert log.label_counts("flights", march) == {march.date(): 2}


@in_a_folder
def test_labels_of_one_id_on_two_replicas_are_of_two_rows(spool, log, record, march, tmp_path):
    for its, name, label in ((spool, "here", "late"), (Spool(tmp_path / "there.sqlite"), "there", "on_time")):
        its.append([record(0, prediction_id="1", request=name, process=name)])
        its.feedback([("1", label, None)], model="flights")
        log.ship(its)
    rows = log.labelled("flights", march, march + days(1)).to_pylist()
    assert {row["request"]: row["label"] for row in rows} == {"here": "late", "there": "on_time"}
    assert log.count_labelled("flights") == 2


@in_a_folder
def test_get_gives_the_row_that_holds_the_id(spool, log, record, march):
    received = record(0).received_at
    slow = {"request": "slow", "received_at": received - timedelta(seconds=1), "latency_ms": 5000.0}
    rejected = {"request": "rejected", "role": "none", "status": "rejected", "prediction": None}
    spool.append([record(0, **rejected)])
    log.ship(spool)
    assert log.get("p0")["request"] == "rejected", "there is no better one"
    # it happened earlier, and was asked for earlier, and was answered later
    spool.append([record(0), record(0, **slow, event_time=march - days(2)), record(0, request="third")])
    log.ship(spool)
    assert (log.get("p0")["request"], log.get("p0")["label"]) == ("r0", None)
    spool.feedback([("p0", "on_time", None)], model="flights")
    log.ship(spool)
    assert (log.get("p0")["request"], log.get("p0")["label"]) == ("r0", "on_time")

    other = Spool(spool.path.with_name("other.sqlite"))  # where the slow one was recorded first
    other.append([record(1, **slow), record(1, request="late", process="process-2")])
    other.feedback([("p1", "late", None)], model="flights")
    log.ship(other)
    assert (log.get("p1")["request"], log.get("p1")["label"]) == ("slow", "late"), "the one with the label"
