"""A real Prometheus and Alertmanager watch a plane: workers are killed, a model is held, the housekeeper is stopped.

People must hear of each fault.
"""

import os
import signal
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from mlops_dagster.settings import Settings
from mlops_dagster.stores import Stores
from tests.support.serving.data_plane import Models, Server, eventually
from tests.support.serving.light import light_artifacts
from tests.support.serving.prometheus import Heard, alertmanager, hooks, prometheus, samples

MODEL = "told"
STEP_SECONDS = 600
"""The longest that an alert may take to reach people: its wait, and the windows of its rates."""


def attack(seconds: float) -> None:
    deadline = time.monotonic() + seconds
    with tempfile.TemporaryDirectory() as folder:
        models = Models(Stores(Settings(home=Path(folder, "home")), actor="soak"), light_artifacts(Path(folder)))
        models.champion(MODEL)
        server = Server(models.stores.settings.home, MLOPS_WORKERS="2", MLOPS_HANG_SECONDS="86400")
        try:
            with (
                hooks() as (receiver, heard),
                alertmanager(Path(folder), receiver) as manager,
                prometheus(Path(folder), f"127.0.0.1:{server.address['port']}", manager) as client,
            ):
                server.wait_in_force(models.stores, MODEL)
                eventually(lambda: samples(client, "mlops_restarts_total"))  # an increase needs a count before it
                for name, begin, end in (
                    ("MlopsRestarts", lambda: _kill_workers(server), lambda: None),
                    ("MlopsBudgetBurnsFast", lambda: _hold(models, server), lambda: _release(models, server)),
                    ("MlopsBeatStale", lambda: _stop_housekeeper(server), lambda: _go_on(server)),
                    ("MlopsDataPlaneDown", server.stop, lambda: None),
                ):
                    if time.monotonic() > deadline:
                        break
                    _seen(name, begin, end, heard)
        finally:
            if server.process.poll() is None:
                server.stop(signal.SIGKILL)


def _seen(name: str, begin: Callable[[], object], end: Callable[[], object], heard: Heard) -> None:
    """Wait until people have heard of the alert; raises AssertionError after STEP_SECONDS."""
    since = time.monotonic()
    begin()
    while not any(alert["labels"]["alertname"] == name for _, alert in heard):
        assert time.monotonic() - since < STEP_SECONDS, f"nobody was told of {name}"
        time.sleep(1)
    end()
    print(f"{name}: told after {time.monotonic() - since:.0f} s")


def _kill_workers(server: Server) -> None:
    for _ in range(4):
        time.sleep(5)
        for pid in _children(server, "worker"):
            os.kill(pid, signal.SIGKILL)
    eventually(lambda: server.client.get("/v2/health/ready").status_code == 200)


def _hold(models: Models, server: Server) -> None:
    models.stores.registry.hold(MODEL, "soak")
    eventually(lambda: server.infer(MODEL).status_code == 503)
    for _ in range(50):
        assert server.infer(MODEL).status_code == 503


def _release(models: Models, server: Server) -> None:
    models.stores.registry.release(MODEL, "soak")
    eventually(lambda: server.infer(MODEL).status_code == 200)


def _stop_housekeeper(server: Server) -> None:
    for pid in _children(server, "housekeeper"):
        os.kill(pid, signal.SIGSTOP)


def _go_on(server: Server) -> None:
    for pid in _children(server, "housekeeper"):
        os.kill(pid, signal.SIGCONT)


def _children(server: Server, of: str) -> list[int]:
    """The pids of the plane's processes of one kind."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            parent = int(path.read_text().rpartition(")")[2].split()[1])
            command = path.with_name("cmdline").read_bytes().decode()
        except OSError:
            continue
        if parent == server.process.pid and of in command:
            found.append(int(path.parent.name))
    return found
