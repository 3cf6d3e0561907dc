"""Kill -9 of a data plane's processes at random moments, under traffic: no answer is lost, no audit is incomplete."""

import random
import signal
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from mlops_dagster.settings import Settings
from mlops_dagster.stores import Stores
from tests.support.serving.data_plane import Models, Server
from tests.support.serving.killing import kill_anyone
from tests.support.serving.light import light_artifacts


def attack(seconds: float) -> None:
    seed = random.randrange(10**6)  # noqa: S311 - not for secrets
    servers: list[Server] = []
    with tempfile.TemporaryDirectory(prefix="soak-") as folder:
        models = Models(Stores(Settings(home=Path(folder) / "home"), actor="soak"), light_artifacts(Path(folder)))

        def start(**environment: str) -> Server:
            servers.append(Server(models.stores.settings.home, **environment))
            return servers[-1]

        try:
            load, killed = kill_anyone(models, "mortal", start, _until(time.monotonic() + seconds), seed)
        finally:
            for server in servers:
                server.stop(signal.SIGKILL)
    print(f"{killed.total()} kills {dict(killed)}: {len(load.answered)} answers, all recorded once; seed {seed}")


def _until(deadline: float) -> Iterator[None]:
    while time.monotonic() < deadline:
        yield
