"""Work beside the requests goes on whatever it raises, and says that it fails."""

import threading
from collections import Counter

import pytest

from mlops_dagster.errors import StorageError
from mlops_dagster.serving.plane.abandonable import AbandonableWorker
from mlops_dagster.serving.telemetry.telemetry import Telemetry
from mlops_dagster.serving.upkeep import periodic as background
from mlops_dagster.serving.upkeep.periodic import PeriodicTask

PANIC = type("PanicException", (BaseException,), {"__module__": "pyo3_runtime"})


class Counted(Telemetry):
    """Counts failures where a test can see them."""

    def __init__(self) -> None:
        self.failures: Counter[str] = Counter()

    def begin_task(self, task: str) -> None:
        self.failures[task] = 0

    def failed(self, task: str) -> None:
        self.failures[task] += 1


@pytest.mark.parametrize("error", [PANIC("index out of range"), SystemExit(1), KeyboardInterrupt(), ValueError("x")])
def test_work_that_broke_off_is_counted_and_tried_again(error: BaseException, monkeypatch) -> None:
    monkeypatch.setattr(background, "MOST_SECONDS", 0.02)
    telemetry, calls, again, seen = Counted(), [], threading.Event(), []

    def work() -> None:
        calls.append(len(calls))
        if len(calls) <= 3:
            raise error
        seen.append(duty.trouble)
        again.set()

    duty = PeriodicTask("log", 0.005, work, telemetry)
    duty.start()
    assert again.wait(30)
    duty.stop()
    assert telemetry.failures == {"log": 3}
    assert seen == [type(error).__name__]  # of the rounds before: this one has not ended yet
    assert duty.trouble is None


def test_what_breaks_in_an_unknown_way_is_tried_ever_less_often() -> None:
    duty = PeriodicTask("log", 5.0, lambda: None, Counted())
    pauses = []
    for _ in range(6):
        duty._failed(PANIC())
        pauses.append(duty._pause)
    assert pauses == [10.0, 20.0, 40.0, 60.0, 60.0, 60.0]
    duty._failed(StorageError("away"))  # comes back at any moment
    assert duty._pause == 5.0
    duty._failed(PANIC())
    duty._worked()
    assert duty._pause == 5.0


def test_a_lane_outlives_what_raises_in_it() -> None:
    lane, done = AbandonableWorker("tested"), threading.Event()

    def breaks() -> None:
        raise PANIC("index out of range")

    lane.start(breaks, lambda: None, lambda _: None)
    lane.start(lambda: None, lambda: None, lambda _: done.set())
    assert done.wait(30)
