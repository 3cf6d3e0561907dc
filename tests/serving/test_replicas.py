"""Labels behind a load balancer, through real data planes: each finds the replica that answered."""

import signal
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.serving.test_telemetry import parsed, value
from tests.support.serving.data_plane import ForkedServer
from tests.support.serving.replicas import MODEL, REPLICAS, Replicas, label


@pytest.fixture
def replicas(tmp_path: Path, postgresql: str) -> Iterator[Replicas]:
    replicas = Replicas(tmp_path, postgresql, server=ForkedServer)
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

    assert replicas.settled(26) == Counter(labelled=26, wrong=13, logged=26)
    first = [
        value(parsed(server.client.get("/metrics").text), "labels_total", model=MODEL, outcome="first")
        for server in replicas.servers
    ]
    assert sum(each or 0 for each in first) <= 26
    assert replicas.stop() == [0, 0, 0]
