"""Data planes on one PostgreSQL and one log, behind a load balancer that knows nothing of ids."""

import itertools
import signal
from collections import Counter
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx

from mlops_dagster.settings import Settings
from mlops_dagster.stores import Stores
from tests.support.serving.data_plane import Models, Server, eventually
from tests.support.serving.light import light_artifacts

MODEL = "dealt"
REPLICAS = 3
DAY = timedelta(days=1)


class Replicas:
    """Data planes, each with a home of its own, and a client that asks one after the other."""

    def __init__(self, folder: Path, url: str, reached_at: str | None = None, server: type[Server] = Server) -> None:
        """They reach the database at `url`, or `reached_at` another one, that of a proxy."""
        self._server = server
        self._folder, self._url, self._log = folder, url, str(folder / "log")
        self._environment = {"MLOPS_DATABASE_URL": reached_at or url, "MLOPS_LOG_URL": self._log}
        self._names = itertools.count()
        self.houses = [self._home() for _ in range(REPLICAS)]
        self.servers = [self._start(stores) for stores in self.houses]
        self._next = itertools.cycle(range(REPLICAS))

    def _home(self) -> Stores:
        home = self._folder / f"home-{next(self._names)}"
        stores = Stores(Settings(home=home, database_url=self._url, log_url=self._log), actor="test")
        artifacts = self._folder / "artifacts"
        if artifacts.exists():
            (home / "artifacts").symlink_to(artifacts)
        else:
            Models(stores, light_artifacts(self._folder)).champion(MODEL)
            (home / "artifacts").rename(artifacts)
            (home / "artifacts").symlink_to(artifacts)
        return stores

    def _start(self, stores: Stores) -> Server:
        server = self._server(stores.settings.home, **self._environment)
        server.wait_in_force(stores, MODEL)
        return server

    def kill(self, number: int) -> None:
        self.servers[number].stop(signal.SIGKILL)

    def replace(self, number: int) -> None:
        """Another one, with an empty home, in the place of one that was killed."""
        self.houses[number] = self._home()
        self.restart(number)

    def restart(self, number: int) -> None:
        self.servers[number] = self._start(self.houses[number])

    def alive(self) -> list[Server]:
        return [server for server in self.servers if server.process.poll() is None]

    def deal(self) -> Server:
        """The next one that answers, as a balancer with health checks would choose it."""
        return next(
            server for server in (self.servers[number] for number in self._next) if server.process.poll() is None
        )

    def settled(self, labels: int, seconds: float = 40.0) -> Counter[str]:
        """What is counted once there are so many labels, and all that is known is in the rollups and the log."""

        def flushed() -> bool:
            for server in self.servers:
                with suppress(httpx.ReadTimeout):  # on a busy machine; who hangs is found by the deadline
                    server.flush()
            return self.counted()["labelled"] >= labels

        eventually(flushed, seconds)
        for server in self.servers:
            server.flush()
        return self.counted()

    def label(self, *labels: tuple[str, str]) -> dict[str, object]:
        return label(self.deal(), *labels)

    def counted(self) -> Counter[str]:
        """Of all replicas: labels as the shared rollups and the log have them."""
        now = datetime.now(UTC)
        events = self.houses[0].rollups.events(MODEL, now - DAY, now + DAY)
        log = self.houses[0].log
        return Counter(
            labelled=sum(each.counts.labelled for each in events),
            wrong=sum(each.counts.wrong for each in events),
            logged=log.count_labelled(MODEL),
        )

    def stop(self) -> list[int]:
        codes = [server.stop() for server in self.servers]
        for stores in self.houses:
            stores.registry.close()
            stores.rollups.close()
        return codes


def label(server: Server, *labels: tuple[str, str]) -> dict[str, object]:
    content = {"labels": [{"prediction_id": name, "label": label} for name, label in labels]}
    answer = server.post(f"/v1/models/{MODEL}/feedback", content)
    assert answer.status_code == 200, answer.text
    found: dict[str, object] = answer.json()
    return found
