"""Data planes on one PostgreSQL behind a load balancer that knows nothing of ids: each label finds its answer."""

import itertools
import signal
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from mlops_dagster.settings import Settings
from mlops_dagster.wiring import House
from tests.serving.conftest import Models, Server, eventually
from tests.serving.light import light_artifacts
from tests.serving.test_telemetry import parsed, value

MODEL = "dealt"
REPLICAS = 3
DAY = timedelta(days=1)


class Replicas:
    """Data planes, each with a home of its own, and a client that asks one after the other."""

    def __init__(self, folder: Path, url: str) -> None:
        self._environment = {"MLOPS_DATABASE_URL": url, "MLOPS_LOG_URL": str(folder / "log")}
        self.houses = [
            House(Settings(home=folder / name, database_url=url, log_url=str(folder / "log")), actor="test")
            for name in ("a", "b", "c")
        ]
        Models(self.houses[0], light_artifacts(folder)).champion(MODEL)
        for house in self.houses[1:]:
            (house.settings.home / "artifacts").symlink_to(folder / "a" / "artifacts")
        self.servers = [self._start(house) for house in self.houses]
        self._next = itertools.cycle(range(REPLICAS))

    def _start(self, house: House) -> Server:
        server = Server(house.settings.home, **self._environment)
        server.wait_in_force(house, MODEL)
        return server

    def kill(self, number: int) -> None:
        self.servers[number].stop(signal.SIGKILL)

    def restart(self, number: int) -> None:
        self.servers[number] = self._start(self.houses[number])

    def deal(self) -> Server:
        """The next one that answers, as a balancer with health checks would choose it."""
        return next(
            server for server in (self.servers[number] for number in self._next) if server.process.poll() is None
        )

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
        for house in self.houses:
            house.registry.close()
            house.rollups.close()
        return codes


def label(server: Server, *labels: tuple[str, str]) -> dict[str, object]:
    content = {"labels": [{"prediction_id": name, "label": label} for name, label in labels]}
    answer = server.post(f"/v1/models/{MODEL}/feedback", content)
    assert answer.status_code == 200, answer.text
    found: dict[str, object] = answer.json()
    return found


@pytest.fixture
def replicas(tmp_path: Path, postgresql: str) -> Iterator[Replicas]:
    replicas = Replicas(tmp_path, postgresql)
    yield replicas
    for server in replicas.servers:
        server.stop(signal.SIGKILL)


def test_labels_sent_round_robin_are_counted_once_also_when_a_replica_is_killed_between(replicas: Replicas) -> None:
    ours = [replicas.deal().infer(MODEL).json()["id"] for _ in range(12)]  # dealt ids, and ids of the client
    theirs = [f"order-{number}" for number in range(12)]
    for name in theirs:
        assert replicas.deal().infer(MODEL, id=name).status_code == 200
    for server in replicas.servers:  # a client that retries, and one that calls every request the same
        for name in ("retried", "1"):
            assert server.infer(MODEL, id=name).status_code == 200

    replicas.deal()  # so that each label goes to another replica than its request
    said = [replicas.label((name, "late")) for name in ours]
    assert sum(bool(answer["pending"]) for answer in said) == 12
    with ThreadPoolExecutor(REPLICAS) as pool:  # all replicas get the same label at once
        list(pool.map(lambda server: label(server, ("retried", "late"), ("1", "on_time")), replicas.servers))
    replicas.kill(1)  # it has answered a third, and holds perhaps what was repeated
    for name in theirs:
        replicas.label((name, "on_time"))
        replicas.label((name, "on_time"))
    replicas.label(("nobody", "late"))
    replicas.restart(1)

    def all_labels() -> bool:
        for server in replicas.servers:
            server.flush()
        return replicas.counted()["labelled"] >= 26

    eventually(all_labels)
    for server in replicas.servers:
        server.flush()
    assert replicas.counted() == Counter(labelled=26, wrong=13, logged=26)
    waiting = [
        value(parsed(server.client.get("/metrics").text), "labels_total", model=MODEL, outcome="first")
        for server in replicas.servers
    ]
    assert sum(each or 0 for each in waiting) <= 26
    assert replicas.stop() == [0, 0, 0]
