"""From a slow panel to a trace: the slowest requests of a stretch of time."""

from datetime import timedelta
from pathlib import Path

from mlops_dagster.predictions import PredictionLog, Spool
from mlops_dagster.predictions.log.slowest import slowest
from tests.support.predictions.records import MARCH, a_record


def test_the_slowest_requests_are_those_of_clients_in_that_time(tmp_path: Path) -> None:
    spool, log = Spool(tmp_path / "spool.sqlite"), PredictionLog(str(tmp_path / "log"))
    slow = a_record(70, latency_ms=900.0, inference_ms=800.0, trace_id="a" * 32)
    records = [
        slow,
        slow._replace(prediction_id="p70/1", row=1),
        *(a_record(number, latency_ms=float(number)) for number in range(60, 80, 2)),
        a_record(75, latency_ms=5000.0, role="shadow"),
        a_record(10, latency_ms=9000.0),
        a_record(77, latency_ms=950.0, role="none", version="", status="rejected", prediction=None, trace_id="b" * 32),
    ]
    spool.append(records)
    log.ship(spool)
    found = slowest(log, "flights", MARCH + timedelta(hours=1), MARCH + timedelta(hours=2), 3)
    assert [(each.latency_ms, each.trace_id and each.trace_id[0], each.status) for each in found] == [
        (950.0, "b", "rejected"),
        (900.0, "a", "ok"),
        (78.0, None, "ok"),
    ]
    assert (found[1].inference_ms, found[1].preprocess_ms, found[1].version) == (800.0, None, "1.0.0")
