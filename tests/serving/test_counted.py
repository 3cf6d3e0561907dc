"""What the platform itself does to requests is counted too: by the published limit, and where no record can be kept."""

import asyncio
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest

from mlops_dagster.errors import StorageError
from mlops_dagster.registry import Deployment
from mlops_dagster.rollout import RolloutPolicy
from mlops_dagster.serving.deployed.deployments import Deployments
from mlops_dagster.serving.deployed.in_force import InForce
from mlops_dagster.serving.deployed.loader import Loader
from mlops_dagster.serving.deployed.registry_cache import RegistryCache
from mlops_dagster.serving.plane.plane import DataPlane
from mlops_dagster.serving.processes.at_work import Marks
from mlops_dagster.serving.telemetry.telemetry import Telemetry
from mlops_dagster.serving.telemetry.tracing import TraceContext
from mlops_dagster.serving.upkeep.fleet import fleet_text
from mlops_dagster.serving.upkeep.shipping import Shipper
from mlops_dagster.settings import Settings
from mlops_dagster.stores import Stores
from tests.serving.test_telemetry import parsed, value
from tests.support.predictions.records import MARCH, a_record
from tests.support.serving.data_plane import NOW

NOBODY = {"model": "m", "version": "", "role": "none"}


def test_without_a_rollout_slow_is_what_the_published_policy_says(tmp_path: Path) -> None:
    stores = Stores(Settings(home=tmp_path / "home"), actor="test")
    (tmp_path / "model.onnx").write_text("weights")
    stores.registry.register("flights", tmp_path / "model.onnx")
    stores.registry.publish_policies("flights", {"rollout": RolloutPolicy(slow_ms=50)})
    cache, telemetry = RegistryCache(stores.settings.last_known_path), Telemetry("test")
    deployments = Deployments("test", stores, cache, Loader(stores, cache, telemetry, Marks(None)), telemetry)
    deployments.refresh()
    assert deployments.get("flights").slow_ms == 200, "the default, until the housekeeper has read the registry"

    shipper = Shipper(stores, cache, telemetry)
    shipper.read_slow_limits()
    deployments.read_slow_limits()
    deployments.refresh()
    assert deployments.get("flights").slow_ms == 50
    stores.spool.append([a_record(0, latency_ms=60.0), a_record(1, latency_ms=40.0)])
    shipper.roll_up()
    (events,) = stores.rollups.events("flights", MARCH, MARCH.replace(day=2))
    assert (events.counts.requests, events.counts.slow) == (2, 1)


@pytest.mark.parametrize("away", [None, "its champion is being loaded"])
def test_a_request_that_can_be_kept_nowhere_is_a_failed_one(tmp_path: Path, away: str | None) -> None:
    telemetry = Telemetry("test")
    deployment = Deployment("m", 3, None, None, 0.0, (), "salt", None, NOW)
    in_force = InForce(deployment, {}, None, slow_ms=200, unavailable=away)

    def full(*_: object) -> None:
        raise StorageError("no room on the disk")

    plane = DataPlane(
        "test",
        Stores(Settings(home=tmp_path / "home"), actor="test"),
        SimpleNamespace(get=lambda _model: in_force),
        SimpleNamespace(),
        SimpleNamespace(score=full, settle=full, reject=full),
        telemetry,
    )
    trace = TraceContext("a" * 32, "b" * 16, None, sampled=False)
    body = (
        b'{"inputs": []}'
        if away is None
        else b'{"inputs": [{"name": "x", "shape": [1], "datatype": "FP64", "data": [1]}]}'
    )
    with pytest.raises(StorageError):
        asyncio.run(plane.infer("m", body, None, {}, trace))
    found = parsed(telemetry.exposition().decode())
    assert value(found, "requests_total", **NOBODY, status="failed") == 1
    assert value(found, "errors_total", **NOBODY, code="storage") == 1
    assert value(found, "requests_total", **NOBODY, status="rejected") == 0


def test_the_registrys_absence_and_an_untold_fuse_are_numbers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stores = Stores(Settings(home=tmp_path / "home"), actor="test")
    cache, telemetry = RegistryCache(stores.settings.last_known_path), Telemetry("test")
    deployments = Deployments("test", stores, cache, Loader(stores, cache, telemetry, Marks(None)), telemetry)
    times = iter([100.0, 160.0])
    monkeypatch.setattr(
        "mlops_dagster.serving.deployed.deployments.time", SimpleNamespace(monotonic=lambda: next(times))
    )

    def away(*_: object) -> None:
        raise StorageError("away")

    with monkeypatch.context() as patched:
        patched.setattr(type(stores.registry), "follow_deployments", away)
        for seconds in (0, 60):
            with pytest.raises(StorageError):
                deployments.refresh()
            assert value(parsed(telemetry.exposition().decode()), "registry_away_seconds") == seconds
    deployments.refresh()
    assert value(parsed(telemetry.exposition().decode()), "registry_away_seconds") == 0


def test_messages_that_wait_are_told_by_channel_and_age(tmp_path: Path) -> None:
    stores = Stores(Settings(home=tmp_path / "home"), actor="test")
    entries = [SimpleNamespace(channel="chat", enqueued_at=NOW - timedelta(seconds=each)) for each in (90, 30)]
    stores.letters = SimpleNamespace(list=lambda _states: entries)
    stores.delivery = SimpleNamespace(channels=["chat", "oncall"])
    text, failures = fleet_text(stores, NOW)
    found = parsed(text.decode())
    assert failures == []
    for channel, waiting, oldest in (("chat", 2, 90), ("oncall", 0, 0)):
        assert value(found, "outbox_waiting", channel=channel) == waiting
        assert value(found, "outbox_oldest_seconds", channel=channel) == oldest
