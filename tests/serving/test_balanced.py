"""Data planes with homes of their own, on one PostgreSQL and one S3, behind a plain round-robin balancer: as if one."""

import signal
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import httpx
import pytest

from mlops_dagster.access.tokens import Scope
from mlops_dagster.board.snapshot import snapshot
from mlops_dagster.predictions import audit
from mlops_dagster.predictions.records import ANSWERED
from mlops_dagster.registry import Stage
from mlops_dagster.settings import Settings
from mlops_dagster.stores import Stores
from tests.support.proxy import Proxy
from tests.support.serving.balancer import Balancer, balancer
from tests.support.serving.data_plane import ForkedServer, Models, Server, behind, eventually, log_rows, request
from tests.support.serving.light import light_artifacts
from tests.support.serving.load import load_on

MODEL = "balanced"
INFER = f"/v2/models/{MODEL}/infer"
DAY = timedelta(days=1)


class Planes:
    """The data planes, and the stores of whoever operates them."""

    def __init__(self, folder: Path, balancer: Balancer, database: str, bucket: str) -> None:
        self._folder, self.balancer = folder, balancer
        self._urls = {"database_url": database, "storage_url": f"s3://{bucket}/store", "log_url": f"s3://{bucket}/log"}
        self.servers: dict[str, Server] = {}
        self.stores = self.stores_of("operator")
        models = Models(self.stores, light_artifacts(folder))
        models.champion(MODEL)
        self.canary = models.canary(MODEL, "1.1.0", 0.3)

    def stores_of(self, name: str) -> Stores:
        return Stores(Settings(home=self._folder / name, **self._urls), actor="ada")

    def start(self, name: str, **urls: str) -> Server:
        environment = {f"MLOPS_{key.upper()}": value for key, value in {**self._urls, **urls}.items()}
        server = self.servers[name] = ForkedServer(self.stores_of(name).settings.home, **environment)
        server.wait_in_force(self.stores, MODEL)
        self.balancer.add(server)
        return server

    def ask(self, key: str, **headers: str) -> httpx.Response:
        return self.balancer.client.post(INFER, json=request(parameters={"routing_key": key}), headers=headers)

    def statuses(self, **headers: str) -> set[int]:
        """Of as many requests as there are data planes, and one more."""
        return {self.ask("one", **headers).status_code for _ in range(len(self.servers) + 1)}

    def audited(self, *names: str) -> None:
        """No home lacks a number."""
        for name in names:
            with closing(self.stores_of(name)) as stores:
                assert audit(stores.spool, stores.log, stores.rollups).gaps == ()

    def settle(self, *servers: Server) -> None:
        for server in servers or self.servers.values():
            server.flush()

    def stop(self) -> None:
        for server in self.servers.values():
            server.stop(signal.SIGKILL)


@pytest.fixture
def planes(tmp_path: Path, postgresql: str, s3: str) -> Iterator[Planes]:
    with tempfile.TemporaryDirectory(prefix="lb-") as short, balancer(Path(short)) as before:
        planes = Planes(tmp_path, before, postgresql, s3)
        yield planes
        planes.stop()
        planes.stores.close()


def soon(true: Callable[[], bool]) -> None:
    eventually(true, 3)


def test_two_are_as_if_one(planes: Planes) -> None:
    for name in ("a", "b"):
        planes.start(name)
    answers = [planes.ask(f"customer {number // 2}").json() for number in range(80)]  # each is asked by both
    versions = [answer["model_version"] for answer in answers]
    assert versions[::2] == versions[1::2], "a split by key"
    assert {*versions} == {"1.0.0", "1.1.0"}

    ids = [answer["id"] for answer in answers]
    for label in ids[:40]:  # whoever is sent it
        sent = {"labels": [{"prediction_id": label, "label": "late"}]}
        assert planes.balancer.client.post(f"/v1/models/{MODEL}/feedback", json=sent).json()["accepted"] == 1
    rollups = planes.stores.rollups

    def counted() -> Counter[str]:
        planes.settle()
        now = planes.stores.clock.now()
        events = [each for each in rollups.events(MODEL, now - DAY, now + DAY) if each.role in ANSWERED]
        return Counter(
            asked=sum(each.counts.requests for each in events), labelled=sum(each.counts.labelled for each in events)
        )

    eventually(lambda: counted() == Counter(asked=80, labelled=40))
    assert planes.stores.log.count_labelled(MODEL) == 40

    planes.stores.registry.hold(MODEL, "the weather station sends Celsius")
    soon(lambda: planes.statuses() == {503})
    planes.stores.registry.release(MODEL, "it sends Fahrenheit")
    soon(lambda: planes.statuses() == {200})

    planes.stores.registry.transition(planes.canary, Stage.DEPRECATED, reason="worse")
    soon(lambda: {planes.ask(f"customer {number}").json()["model_version"] for number in range(20)} == {"1.0.0"})

    tokens, now = planes.stores.tokens, planes.stores.clock.now()
    bearer = {"Authorization": f"Bearer {tokens.create('shop', [Scope.INFER], at=now, by='ada')}"}
    soon(lambda: planes.statuses() == {401})
    assert planes.statuses(**bearer) == {200}
    tokens.revoke("shop", at=now, by="ada")
    soon(lambda: planes.statuses(**bearer) == {401})
    planes.audited(*planes.servers)


def test_under_load_they_come_go_die_and_lag_and_nothing_is_lost(planes: Planes, postgresql: str, proxy: Proxy) -> None:
    dies, goes = planes.start("dies"), planes.start("goes")
    with load_on(MODEL, lambda: planes.balancer.port, callers=3) as load:
        load.wait_for(50)
        lags = planes.start("lags", database_url=behind(proxy, postgresql))
        load.wait_for(50)
        dies.stop(signal.SIGKILL)
        load.wait_for(50)
        planes.balancer.drain(goes)
        assert goes.stop(signal.SIGTERM) == 0
        load.wait_for(50)
        proxy.cut()  # it goes on with what it knew, an older epoch than the registry's
        known = planes.stores.registry.deployment(MODEL).epoch
        planes.stores.registry.transition(planes.canary, Stage.DEPRECATED, reason="worse")
        load.wait_for(50)
        assert _behind(planes, known) >= {*lags.address["processes"]}
        assert not _behind(planes, known) & {*goes.address["processes"]}, "it has said that it goes"
        proxy.heal()
        lags.wait_in_force(planes.stores, MODEL)
        assert not _behind(planes, known) & {*lags.address["processes"]}
        load.wait_for(20)
    del planes.servers["goes"]
    planes.start("dies")  # again: its spool has what it had answered
    planes.settle()
    logged = {row["prediction_id"]: row["epoch"] for row in log_rows(planes.stores, MODEL, "prediction_id", "epoch")}
    assert load.answered <= logged.keys()
    assert {*logged.values()} == {known, known + 1}
    planes.audited("dies", "goes", "lags")


def _behind(planes: Planes, epoch: int) -> set[str]:
    """The workers that the control room shows with that epoch, of those that are there."""
    shown = snapshot(planes.stores, planes.stores.clock.now()).models.content or ()
    return {worker.process for row in shown for worker in row.workers if worker.epoch == epoch and not worker.in_force}
