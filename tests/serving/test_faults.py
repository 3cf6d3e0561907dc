"""What is around the data plane goes away, and comes back: nothing that was answered is lost, and it recovers alone."""

import os
import random
import resource
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from mlops_dagster.predictions import audit
from mlops_dagster.registry import Stage
from mlops_dagster.rollout import Phase, RolloutPolicy
from mlops_dagster.settings import Settings
from mlops_dagster.stores import Stores
from tests.support.proxy import Proxy
from tests.support.serving.data_plane import (
    NOW,
    WIDER,
    ForkedServer,
    Models,
    Server,
    behind,
    children,
    eventually,
    logged_ids,
)
from tests.support.serving.killing import kill_anyone
from tests.support.serving.light import light_artifacts
from tests.support.serving.load import load_on

MODEL = "mortal"

Start = Callable[..., Server]


def test_kill_9_of_anyone_at_any_moment_loses_no_answer(
    models: Models, start_server: Start, pytestconfig: pytest.Config
) -> None:
    rounds, seed = pytestconfig.getoption("--kills"), random.randrange(10**6)  # noqa: S311 - not for secrets
    kill_anyone(models, MODEL, start_server, range(rounds), seed)


@pytest.fixture
def on_postgresql(tmp_path: Path, postgresql: str) -> Iterator[Models]:
    stores = Stores(Settings(home=tmp_path / "home", database_url=postgresql), actor="test")
    yield Models(stores, light_artifacts(tmp_path))
    stores.registry.close()
    stores.rollouts.close()


def failing_canary(models: Models) -> None:
    """A rollout at half of the traffic, whose challenger refuses every request."""
    stores = models.stores
    models.champion(MODEL)
    registered = models.register(MODEL, "1.1.0", schema=WIDER)
    epoch = stores.registry.deployment(MODEL).epoch
    rollout = stores.rollouts.start(MODEL, "1.0.0", "1.1.0", RolloutPolicy(), epoch, NOW)
    stores.registry.transition(registered, Stage.CANARY, weight=0.5)
    stores.rollouts.change(rollout.id, lambda seen: replace(seen, phase=Phase.CANARY, step=1, weight=0.5))


def test_without_its_database_it_serves_what_was_known_last_and_the_fuse_still_trips(
    on_postgresql: Models, postgresql: str, proxy: Proxy
) -> None:
    stores = on_postgresql.stores
    failing_canary(on_postgresql)
    server = ForkedServer(
        stores.settings.home, MLOPS_DATABASE_URL=behind(proxy, postgresql), MLOPS_WORKERS="2", MLOPS_DRAIN_SECONDS="2"
    )
    try:
        server.wait_in_force(stores, MODEL)
        proxy.cut()
        for pid in children(server):  # those that come after them know what these knew
            os.kill(pid, signal.SIGKILL)
        eventually(lambda: not {*server.address["processes"]} & {*server.read_address()["processes"]})

        with load_on(MODEL, lambda: server.address["port"], pause=0.01) as load:
            load.wait_for(100)
            eventually(lambda: "takes no more traffic" in server.log.read_text(), seconds=20)
            time.sleep(1.5)  # the other worker has found out by now
            failed = load.refused.copy()
            load.wait_for(100)
        assert set(failed) == {(500, "model_failed")}, "nothing but the canary ever failed"
        assert load.refused == failed, "no worker asks it any more"
        ready = server.client.get("/v2/health/ready").json()
        assert (ready["ready"], ready["reasons"]) == (True, {})
        assert "deployments" in ready["warnings"]
        assert set(ready["warnings"].values()) == {"fails (storage)"}
        server.flush()
        rows = logged_ids(stores, MODEL)
        assert load.answered <= set(rows)
        assert stores.registry.deployment(MODEL).canary == "1.1.0", "the registry could not be told"

        proxy.heal()
        eventually(lambda: stores.registry.get(MODEL, "1.1.0").rolled_back)
        assert stores.registry.history(MODEL)[-1].reason.startswith("fuse: proven worse")
        epoch = stores.registry.deployment(MODEL).epoch
        address = server.read_address()
        assert address is not None
        server.address = address
        eventually(lambda: server.in_force(stores, MODEL, epoch))
        time.sleep(1.5)
        assert [event.kind for event in stores.registry.history(MODEL)].count("rollback") == 1
        said = server.log.read_text()
        assert "Traceback" not in said
        assert said.count("withdrawals failed") <= 2, "once a worker, not once a second"
    finally:
        server.stop(signal.SIGTERM)


def test_a_database_that_hangs_holds_up_neither_answers_nor_the_fuse(
    on_postgresql: Models, postgresql: str, proxy: Proxy
) -> None:
    stores = on_postgresql.stores
    failing_canary(on_postgresql)
    server = ForkedServer(stores.settings.home, MLOPS_DATABASE_URL=behind(proxy, postgresql), MLOPS_DRAIN_SECONDS="0")
    try:
        server.wait_in_force(stores, MODEL)
        server.infer(MODEL)
        eventually(lambda: stores.local_rollups.first_at(MODEL))  # the housekeeper has begun
        proxy.hang()
        with load_on(MODEL, lambda: server.address["port"], pause=0.01) as load:
            load.wait_for(100)
            eventually(lambda: "takes no more traffic" in server.log.read_text(), seconds=20)  # it hangs for longer
            time.sleep(0.1)
            failed = load.refused.copy()
            load.wait_for(100)
        assert load.refused == failed
        proxy.heal()
        eventually(lambda: stores.registry.get(MODEL, "1.1.0").rolled_back)
        assert server.flush(log=False)["rolled_up"] >= len(load.answered)
    finally:
        server.stop(signal.SIGTERM)


def test_a_full_disk_is_an_error_of_the_request_and_never_an_answer_without_a_record(
    models: Models, start_server: Start
) -> None:
    model = "full"
    models.champion(model)
    models.stores.registry.transition(models.register(model, "2.0.0"), Stage.PRODUCTION)
    server = start_server()
    server.wait_in_force(models.stores, model)
    assert server.infer(model).json()["model_version"] == "2.0.0"
    for pid in children(server):
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (4096, resource.RLIM_INFINITY))
    answer = server.infer(model)
    assert (answer.status_code, answer.json()["code"]) == (503, "storage")
    assert "spool.sqlite cannot be used" in answer.json()["error"]
    ready = server.client.get("/v2/health/ready")
    assert (ready.status_code, ready.json()["ready"]) == (503, False)
    assert "spool.sqlite cannot be used" in ready.json()["reasons"]["spool"]
    assert server.client.get("/v2/health/live").status_code == 200
    models.stores.registry.rollback(model, reason="worse")  # does not wait for room on the disk
    eventually(lambda: server.client.get(f"/v2/models/{model}/ready").json()["version"] == "1.0.0", seconds=2)

    for pid in children(server):
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    assert server.infer(model).json()["model_version"] == "1.0.0"
    assert server.client.get("/v2/health/ready").status_code == 200
    server.wait_in_force(models.stores, model)
    server.flush()
    assert audit(models.stores.spool, models.stores.log).complete
    assert server.stop(signal.SIGTERM) == 0


def test_where_the_log_cannot_be_written_the_spool_holds_everything_until_it_can(
    models: Models, start_server: Start
) -> None:
    model = "unshipped"
    models.champion(model)
    server = start_server()
    server.wait_in_force(models.stores, model)
    log = Path(models.stores.settings.log)
    away = log.with_name("away")
    log.mkdir(exist_ok=True)
    log.rename(away)
    log.write_text("no folder")
    ids = {server.infer(model).json()["id"] for _ in range(20)}
    assert server.post("/v1/flush", {"log": True}).status_code == 503
    assert server.stop(signal.SIGTERM) == 0
    assert "the last predictions stay in the spool" in server.log.read_text()
    log.unlink()
    away.rename(log)
    heir = start_server()
    heir.flush()
    assert ids <= set(logged_ids(models.stores, model))
    assert audit(models.stores.spool, models.stores.log).complete
    assert heir.stop(signal.SIGTERM) == 0
