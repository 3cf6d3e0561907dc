import threading
from datetime import timedelta
from pathlib import Path

import orjson
import pytest

from mlops_dagster.errors import CorruptedError, InvalidInputError, InvalidNameError, StorageError
from mlops_dagster.predictions import FeedbackResult, Hit, ShedRecord, Spool
from mlops_dagster.predictions.records import microseconds


def test_what_was_appended_is_there_after_reopening(tmp_path, record):
    first = Spool(tmp_path / "spool.sqlite")
    first.append([record(0, features={"hour": 6.0, "carrier": None}, key="N14228"), record(1, process="process-2")])
    first.append([record(2)])
    first.close()

    spool = Spool(tmp_path / "spool.sqlite", "disk")
    assert spool.append([record(3)]) == 4
    entries = spool.read(0)
    assert [entry.number for entry in entries] == [1, 2, 3, 4]
    assert [(entry.prediction()["process"], entry.sequence) for entry in entries] == [
        ("process-1", 1),
        ("process-2", 1),
        ("process-1", 2),
        ("process-1", 3),
    ]
    assert entries[0].prediction() == {
        "prediction_id": "p0",
        "request": "r0",
        "model": "flights",
        "version": "1.0.0",
        "role": "champion",
        "weight": 1.0,
        "epoch": 1,
        "salt": "salt",
        "key": "N14228",
        "event_time": 1362096000_000000,  # date -u -d 2013-03-01 +%s
        "received_at": (1362096000 + 5000 * 86400) * 1_000_000,
        "status": "ok",
        "error": None,
        "code": None,
        "features": {"hour": 6.0, "carrier": None},
        "prediction": "late",
        "score": 0.75,
        "latency_ms": 5.0,
        "process": "process-1",
        "row": 0,
        "raw": None,
        "tensors": None,
        "preprocess_ms": None,
        "inference_ms": None,
        "postprocess_ms": None,
        "trace_id": None,
        "unit": "",
        "beside": None,
    }
    assert [tuple(count) for count in spool.processes()] == [
        ("process-1", "flights", 3, 3, 0),
        ("process-2", "flights", 1, 1, 0),
    ]


def test_sequence_numbers_have_no_gap_when_threads_append_together(spool, record):
    def work(worker: int) -> None:
        for call in range(30):
            spool.append([record(0, prediction_id=f"{worker}-{call}-{row}") for row in range(call % 4)])

    threads = [threading.Thread(target=work, args=(worker,)) for worker in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    entries = spool.read(0)
    assert sorted(entry.prediction()["prediction_id"] for entry in entries) == sorted(
        f"{worker}-{call}-{row}" for worker in range(8) for call in range(30) for row in range(call % 4)
    )
    assert [entry.sequence for entry in entries] == list(range(1, len(entries) + 1))


def test_a_full_disk_refuses_the_append_and_later_appends_go_on(spool, record):
    spool.append([record(0)])
    pages = spool._file._writer.execute("PRAGMA page_count").fetchone()[0]
    spool._file._writer.execute(f"PRAGMA max_page_count={pages}")
    with pytest.raises(StorageError, match="cannot be used: database or disk is full"):
        spool.append([record(number) for number in range(1, 1000)])
    spool._file._writer.execute("PRAGMA max_page_count=1000000")

    spool.append([record(1000)])
    assert [(entry.prediction()["prediction_id"], entry.sequence) for entry in spool.read(0)] == [
        ("p0", 1),
        ("p1000", 2),
    ]


def test_everyone_whose_commit_failed_is_told(spool, record):
    """Appends that wait for their turn are committed together; one failed commit fails all of them."""
    outcomes: list[type[BaseException] | None] = []
    spool._file._writer.execute("PRAGMA max_page_count=1")

    def work(number: int) -> None:
        try:
            spool.append([record(number * 1000 + row) for row in range(500)])
            outcomes.append(None)
        except StorageError as error:
            outcomes.append(type(error))

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    with spool._appends._turn:
        for thread in threads:
            thread.start()
        while len(spool._appends._waiting) < 4:
            pass
    for thread in threads:
        thread.join()
    assert outcomes == [StorageError] * 4
    assert spool.read(0) == []


@pytest.mark.parametrize(
    ("changes", "error"),
    [({"key": "\ud800"}, InvalidInputError), ({"features": {"x": 2**70}}, InvalidInputError)]
    + [({"model": name}, InvalidNameError) for name in ("../other", "", "a/b", ".hidden")],
)
def test_what_cannot_be_recorded_is_refused_before_anything_is_written(spool, record, changes, error):
    with pytest.raises(error):
        spool.append([record(0), record(1, **changes)])
    assert spool.read(0) == []


def test_feedback_reaches_every_arm_that_scored_by_then_and_those_that_do_later(spool, record, march):
    spool.append([record(0), record(0, role="shadow", version="1.1.0", weight=0.0, prediction="on_time")])
    spool.append([record(0, role="shadow", version="1.2.0", weight=0.0, prediction=None, status="failed")])
    spool.append([record(1, status="failed", prediction=None)])
    spool.append([record(2)])

    result = spool.feedback(
        [("p0", "on_time", march), ("p1", "late", march), ("nowhere", "late", march)], model="flights"
    )
    hits = {
        Hit("flights", "1.0.0", "champion", "late", "on_time"): 1,
        Hit("flights", "1.1.0", "shadow", "on_time", "on_time"): 1,
    }
    assert result == FeedbackResult(accepted=1, corrections=0, unknown=["p1", "nowhere"], hits=hits)
    spool.append([record(0, role="shadow", version="1.3.0", weight=0.0)])  # of it the rollups count the first label
    assert spool.feedback([("p0", "on_time", march)], model="flights") == FeedbackResult(1, 0, [], repeated=1)
    assert spool.feedback([("p0", "late", march), ("p2", "late", march)], model="flights") == FeedbackResult(
        2, 1, [], {Hit("flights", "1.0.0", "champion", "late", "late"): 1}
    )
    assert spool.feedback([("p2", "late", march)], model="other") == FeedbackResult(0, 0, ["p2"])

    spool.append([record(0, role="shadow", version="1.4.0", weight=0.0)])  # the correction is no evidence
    spool.index()
    late, later = [entry.late() for entry in spool.read(0) if entry.is_late]
    assert (later["late"]["version"], later["label"], later["at"]) == ("1.4.0", "on_time", microseconds(march))
    assert [arm["version"] for arm in later["beside"]] == ["1.0.0", "1.1.0", "1.3.0"]
    assert (late["late"]["version"], [arm["version"] for arm in late["beside"]]) == ("1.3.0", ["1.0.0", "1.1.0"])
    assert (late["model"], late["label"], late["at"]) == ("flights", "on_time", microseconds(march))
    labels = [entry.label() for entry in spool.read(0) if entry.is_label]
    assert [(label["prediction_id"], label["label"], label["correction"]) for label in labels] == [
        ("p0", "on_time", False),
        ("p0", "late", True),
        ("p2", "late", False),
    ]
    assert [[(arm["role"], arm["version"], arm["prediction"]) for arm in label["arms"]] for label in labels] == [
        [("champion", "1.0.0", "late"), ("shadow", "1.1.0", "on_time")],
        [],
        [("champion", "1.0.0", "late")],
    ]


def test_a_batch_of_labels_is_stored_whole_or_not_at_all(spool, record, march):
    spool.append([record(0), record(1)])
    with pytest.raises(ValueError, match="has no time zone"):
        spool.feedback([("p0", "late", march), ("p1", "late", march.replace(tzinfo=None))], model="flights")
    assert [entry.number for entry in spool.read(0)] == [1, 2]
    assert spool.feedback([("p0", "on_time", march)], model="flights").accepted == 1


def test_arms_survive_every_character_json_leaves_as_it_is(spool, record, march):
    spool.append([record(0, key="a\u2028b\x85c\nd", prediction="spät")])
    spool.feedback([("p0", "on_time", march)], model="flights")
    (arm,) = spool.read(1)[0].label()["arms"]
    assert (arm["key"], arm["prediction"]) == ("a\u2028b\x85c\nd", "spät")


def test_entries_are_freed_once_both_readers_have_them_and_their_numbers_never_come_again(tmp_path, record):
    spool = Spool(tmp_path / "spool.sqlite")
    spool.append([record(number) for number in range(5)])
    spool.marks.set("rolled_up", 5)
    assert spool.free() == 0
    spool.marks.set("shipped", 5)
    spool.marks.set("shipped", 3)  # a slower process; a mark never goes back
    assert spool.free() == 5
    spool.close()
    assert Spool(tmp_path / "spool.sqlite").append([record(5)]) == 6


def test_depth_is_what_the_log_has_not_taken_over_and_since_when(tmp_path, record):
    spool = Spool(tmp_path / "spool.sqlite")
    assert spool.depth()[:2] == (0, None)
    spool.append([record(0), record(1), record(2, received_at=record(0).received_at + timedelta(hours=1))])
    assert spool.depth()[:2] == (3, record(0).received_at)
    spool.marks.set("rolled_up", 3)
    spool.marks.set("shipped", 2)
    assert spool.depth()[:2] == (1, record(0).received_at + timedelta(hours=1))
    spool.marks.set("shipped", 3)
    spool.free()
    depth = spool.depth()
    assert depth[:2] == (0, None)
    assert depth.bytes >= (tmp_path / "spool.sqlite").stat().st_size
    assert depth.free_bytes > 0


def test_counts_for_the_rollups_have_no_age_in_the_log(spool, record, march):
    spool.append([record(0)])
    spool.feedback([("p0", "late", march)], model="flights")
    spool.append([record(0, role="shadow", version="1.1.0", weight=0.0)])
    spool.shed([ShedRecord("flights", "1.1.0", "shadow", 0.0, march, rows=3)])
    spool.index()
    assert [(each.is_label, each.is_late, each.is_shed) for each in spool.read(3)] == [
        (False, False, True),
        (False, True, False),
    ]
    spool.marks.set("shipped", 3)
    assert spool.depth()[:2] == (2, None)
    spool.append([record(1)])
    assert spool.depth()[:2] == (3, record(1).received_at)


def test_damage_is_named(tmp_path, record):
    path = tmp_path / "spool.sqlite"
    spool = Spool(path)
    spool.append([record(number) for number in range(2000)])
    spool._file.checkpoint()
    spool.close()
    whole = path.read_bytes()

    for damaged in (whole[: len(whole) // 2], b"garbage" * 1000, whole[:8192] + b"\xff" * 8192 + whole[16384:]):
        path.write_bytes(damaged)
        with pytest.raises(CorruptedError, match=r"spool.sqlite is damaged: .*move it away"):
            Spool(path)


def test_a_folder_that_is_not_there_is_a_storage_error(tmp_path: Path):
    with pytest.raises(StorageError, match="unable to open database file"):
        Spool(tmp_path / "nowhere" / "spool.sqlite")


def test_nan_is_recorded_as_missing(spool, record):
    spool.append([record(0, features={"temp": float("nan")})])
    assert orjson.loads(spool.read(0)[0].body)["features"] == {"temp": None}
