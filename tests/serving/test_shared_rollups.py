"""With a PostgreSQL database the counts that decisions read are there, and the fuse has its own.

So is what each machine had answered when it was last heard of.
"""

import os
import shutil
import signal
from collections.abc import Iterator
from datetime import timedelta
from functools import partial
from pathlib import Path

import pytest

from mlops_dagster.alerting import FLEET
from mlops_dagster.clock import SystemClock
from mlops_dagster.predictions import audit
from mlops_dagster.predictions.rollups import heartbeats
from mlops_dagster.predictions.spool.locking import shipping_lock
from mlops_dagster.retention import Kind
from mlops_dagster.rollout import RolloutPolicy
from mlops_dagster.serving.deployed.registry_cache import RegistryCache
from mlops_dagster.serving.telemetry.telemetry import Telemetry
from mlops_dagster.serving.upkeep.shipping import Shipper
from mlops_dagster.settings import Settings
from mlops_dagster.stores import Stores
from tests.support.predictions.records import MARCH, a_record
from tests.support.serving.data_plane import ForkedServer, Models, Server, children, eventually
from tests.support.serving.light import light_artifacts
from tests.support.serving.load import load_on

HOUR = timedelta(hours=1)
MODEL = "shared"


@pytest.fixture
def replicas(tmp_path: Path, postgresql: str) -> Iterator[list[Stores]]:
    """Two machines' homes; artifacts are in one store."""
    homes = [tmp_path / name for name in ("a", "b")]
    stores = {"database_url": postgresql, "log_url": str(tmp_path / "log")}
    houses = [Stores(Settings(home=home, **stores), actor="test") for home in homes]
    Models(houses[0], light_artifacts(tmp_path)).champion(MODEL)
    (homes[1] / "artifacts").symlink_to(homes[0] / "artifacts")
    yield houses
    for stores in houses:
        stores.registry.close()
        stores.rollups.close()


def start(replicas: list[Stores], postgresql: str) -> list[Server]:
    log = str(replicas[0].settings.log_url)
    return [ForkedServer(stores.settings.home, MLOPS_DATABASE_URL=postgresql, MLOPS_LOG_URL=log) for stores in replicas]


def test_what_two_machines_count_adds_up(replicas: list[Stores], postgresql: str) -> None:
    servers = start(replicas, postgresql)
    try:
        for requests, (server, stores) in enumerate(zip(servers, replicas, strict=True), start=1):
            server.wait_in_force(stores, MODEL)
            for _ in range(requests):
                assert server.infer(MODEL).status_code == 200
            server.flush()
    finally:
        codes = [server.stop() for server in servers]
    assert codes == [0, 0]

    now = SystemClock().now()
    window = (now - HOUR, now + HOUR)
    for requests, stores in enumerate(replicas, start=1):
        assert [row.counts.requests for row in stores.rollups.events(MODEL, *window)] == [3]
        assert [row.counts.requests for row in stores.local_rollups.events(MODEL, *window)] == [requests]
        assert stores.rollups.feature_counts(MODEL, None, *window)["carrier"].sum() == 3
        assert stores.local_rollups.feature_counts(MODEL, None, *window) == {}
        assert stores.spool.read(0) == []


def test_an_audit_of_two_machines_is_never_wrong_and_names_what_one_had_not_shipped_when_it_was_lost(
    replicas: list[Stores], postgresql: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept, lost = replicas
    servers = start(replicas, postgresql)
    try:
        for server, stores in zip(servers, replicas, strict=True):
            server.wait_in_force(stores, MODEL)
        calls = [load_on(MODEL, partial(int, server.address["port"]), callers=2, pause=0.01) for server in servers]
        with calls[0], calls[1]:
            for stores in [*replicas] * 4:  # while both answer, count and ship
                report = audit(stores.spool, stores.log, stores.rollups)
                assert (report.complete, report.problems) == (True, ()), report
        before = servers[1].flush()["answered"]
        with shipping_lock(lost.settings.spool_path, alone=True):
            for _ in range(5):
                assert servers[1].infer(MODEL).status_code == 200
            (worker,) = servers[1].address["processes"]
            eventually(lambda: last_heard(kept, worker) == before + 5)
            servers[1].process.send_signal(signal.SIGSTOP)  # so that it starts nobody again
            for child in children(servers[1]):
                os.kill(child, signal.SIGKILL)
            servers[1].stop(signal.SIGKILL)
        lost.spool.close()
        shutil.rmtree(lost.settings.home)
        assert audit(kept.spool, kept.log, kept.rollups).complete, "it was heard of a second ago"
        monkeypatch.setattr(heartbeats, "ALIVE_SECONDS", 0.2)
        report = eventually(lambda: not (found := audit(kept.spool, kept.log, kept.rollups)).complete and found)
        assert report.gaps == ((worker, MODEL, before + 1, before + 5),)
        rows = f"5 of {before + 5} answered rows of {MODEL}, numbers {before + 1}-{before + 5}"
        assert f"replica {worker}: {rows}, were never shipped; its home" in report.problems[0]
    finally:
        for server in servers:
            server.stop(signal.SIGKILL)


def last_heard(stores: Stores, process: str) -> int:
    found = (count for each in stores.rollups.heartbeats() for count in each.state.processes)
    return max(count.sequence for count in found if count.process == process)


def test_a_machine_forgets_its_own_counts_once_the_shared_ones_are_said_to_be_old(replicas: list[Stores]) -> None:
    (stores, _), name = replicas, "flights"
    stores.spool.append([a_record(60 * hour, prediction_id=f"{hour}") for hour in (0, 30, 60)])
    stores.local_rollups.catch_up(stores.spool, lambda *_: None)
    shipper = Shipper(stores, RegistryCache(stores.settings.last_known_path), Telemetry("test"))
    shipper.forget_old_counts()
    assert stores.local_rollups.first_at(name) == MARCH
    stores.retention.raise_to({name: {Kind.MINUTE_COUNTS: MARCH + 50 * HOUR}, FLEET: {Kind.ALERTS: MARCH}})
    shipper.forget_old_counts()
    assert stores.local_rollups.first_at(name) == MARCH + 60 * HOUR
    policy = RolloutPolicy()
    stores.rollouts.start(name, "1.0.0", "1.1.0", policy, epoch=1, at=MARCH + 55 * HOUR)
    stores.retention.raise_to({name: {Kind.MINUTE_COUNTS: MARCH + 90 * HOUR}})
    shipper.forget_old_counts()
    assert stores.local_rollups.first_at(name) == MARCH + 60 * HOUR, "a rollout that runs needs them"
    for store in (stores.rollouts, stores.retention, stores.local_rollups):
        store.close()
