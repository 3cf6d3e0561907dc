"""The life and death of the process: nothing that was answered is ever lost."""

import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import httpx

from mlops_dagster.predictions import audit
from tests.serving.conftest import Models, Server, request

MODEL = "mortal"
CALLERS = 12


@contextmanager
def load_on(server: Server) -> Iterator[set[str]]:
    """Many callers at once until the server is gone; yields the ids that were answered, some hundreds at first."""
    answered: set[str] = set()
    enough = threading.Event()

    def ask_on() -> None:
        with httpx.Client(base_url=server.client.base_url, timeout=30) as client:
            while True:
                try:
                    answer = client.post(f"/v2/models/{MODEL}/infer", json=request())
                except httpx.TransportError:
                    return
                assert answer.status_code == 200, answer.text
                answered.add(answer.json()["id"])
                if len(answered) > 200:
                    enough.set()

    with ThreadPoolExecutor(CALLERS) as pool:
        callers = [pool.submit(ask_on) for _ in range(CALLERS)]
        assert enough.wait(30)
        yield answered
    for caller in callers:
        caller.result()


def in_log(models: Models) -> set[str]:
    with models.house.log.prediction_rows(MODEL) as dataset:
        return set(dataset.to_table(["prediction_id"])["prediction_id"].to_pylist())


def test_every_answer_is_in_the_log_after_kill_9_and_after_sigterm(
    models: Models, start_server: Callable[[], Server]
) -> None:
    models.champion(MODEL)
    models.canary(MODEL, "1.1.0", 0.5)

    killed = start_server()
    killed.wait_in_force(models.house, MODEL)
    with load_on(killed) as answered_before:
        assert killed.stop(signal.SIGKILL) == -signal.SIGKILL

    drained = start_server()
    drained.wait_in_force(models.house, MODEL)
    assert drained.flush()["answered"] >= len(answered_before)
    assert answered_before <= in_log(models)

    with load_on(drained) as answered:
        assert drained.stop(signal.SIGTERM) == 0
    assert answered <= in_log(models), "what was answered before the end of the drain is shipped with it"
    assert not (models.house.settings.home / "serving.json").exists()
    report = audit(models.house.spool, models.house.log)
    assert report.complete
    assert (report.spooled, len(report.processes)) == (0, 2)
