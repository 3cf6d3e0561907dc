"""The life and death of the process: nothing that was answered is ever lost."""

import signal
import threading
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from mlops_dagster.predictions import audit
from tests.serving.conftest import Models, Server

MODEL = "mortal"


def ask_until_it_dies(server: Server, answered: list[str], enough: threading.Event) -> None:
    try:
        while True:
            answer = server.infer(MODEL)
            assert answer.status_code == 200, answer.text
            answered.append(answer.json()["id"])
            if len(answered) > 200:
                enough.set()
    except httpx.TransportError:
        pass


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_every_answer_survives_the_end_of_the_process(models: Models, number: signal.Signals) -> None:
    if MODEL not in models.house.registry.models():
        models.champion(MODEL)
        models.canary(MODEL, "1.1.0", 0.5)
    server = Server(models.house.settings.home)
    server.wait_in_force(models.house, MODEL)
    answered: list[str] = []
    enough = threading.Event()
    with ThreadPoolExecutor(12) as pool:
        load = [pool.submit(ask_until_it_dies, server, answered, enough) for _ in range(12)]
        assert enough.wait(30)
        code = server.stop(number)
    for done in load:
        done.result()
    assert code == (-signal.SIGKILL if number == signal.SIGKILL else 0)

    if number == signal.SIGKILL:
        restarted = Server(models.house.settings.home)
        restarted.flush()
        restarted.stop()
    log = models.house.log
    found = {row["prediction_id"] for row in log._dataset(MODEL).to_table(["prediction_id"]).to_pylist()}
    assert set(answered) <= found
    report = audit(models.house.spool, log)
    assert not report.gaps
