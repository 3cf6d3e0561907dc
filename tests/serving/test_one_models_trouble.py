"""What is wrong with one model is told, and stops no other."""

import sqlite3
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace

import pytest

from mlops_dagster.errors import CorruptedError, InvalidInputError, UnreadableError
from mlops_dagster.serving.deployed.deployments import Deployments
from mlops_dagster.serving.deployed.fuse import Fuse
from mlops_dagster.serving.deployed.loader import Loader
from mlops_dagster.serving.deployed.registry_cache import RegistryCache
from mlops_dagster.serving.processes.at_work import Marks
from mlops_dagster.serving.protocol.request_parameters import optional_text
from mlops_dagster.serving.service import Service
from mlops_dagster.serving.telemetry.telemetry import Telemetry
from mlops_dagster.serving.upkeep.shipping import HELD_RULE, UNCOUNTED_RULE
from mlops_dagster.settings import Settings
from mlops_dagster.stores import Stores
from tests.support.predictions.records import a_record


def test_a_deployment_that_cannot_be_read_keeps_no_other_from_coming_into_force(tmp_path: Path) -> None:
    stores = Stores(Settings(home=tmp_path / "home"), actor="test")
    (tmp_path / "model.onnx").write_text("weights")
    for model in ("a-broken", "sound"):
        stores.registry.register(model, tmp_path / "model.onnx")
    with closing(sqlite3.connect(tmp_path / "home" / "mlops.sqlite")) as database, database:
        database.execute("UPDATE deployments SET guard = '{' WHERE model = 'a-broken'")
    last_known, telemetry = RegistryCache(stores.settings.last_known_path), Telemetry("test")
    loader = Loader(stores, last_known, telemetry, Marks(None))
    deployments = Deployments("test", stores, last_known, loader, telemetry)
    with pytest.raises(UnreadableError, match="the deployment of a-broken cannot be read"):
        deployments.refresh()
    assert deployments.models() == ["sound"]


@pytest.mark.parametrize("work", ["check", "tell"])
def test_one_that_cannot_be_judged_or_taken_out_keeps_no_other_in_traffic(
    tmp_path: Path, monkeypatch, work: str
) -> None:
    stores = Stores(Settings(home=tmp_path / "home"), actor="test")
    deployments = SimpleNamespace(models=lambda: ["a-broken", "sound"])
    fuse = Fuse(stores, deployments, stores.clock, Telemetry("test"))
    fuse._withdrawals = {("a-broken", "1.1.0"): "worse", ("sound", "2.0.0"): "worse"}
    done: list[str] = []

    def breaks(_fuse: Fuse, *arguments: object) -> None:
        model = next(each for each in arguments if each in ("a-broken", "sound"))
        if model == "a-broken":
            raise CorruptedError("its counts cannot be read")
        done.append(model)

    monkeypatch.setattr(Fuse, "_judge_model", breaks)
    monkeypatch.setattr(Fuse, "_withdraw", breaks)
    with pytest.raises(CorruptedError, match="its counts"):
        getattr(fuse, work)()
    assert done == ["sound"]
    assert ("a-broken", "1.1.0") in fuse._withdrawals, "it is tried again"


def test_a_log_that_takes_nothing_is_told_by_ready_metrics_and_an_alert(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path / "home")
    service = Service(settings, Stores(settings).clock)
    stores, housekeeping = service.stores, service._housekeeping
    stores.spool.append([a_record(0, model="poison"), a_record(0)])
    assert "minutes behind; nothing is lost" in service.warnings()["log"]
    folder = settings.home / "log" / "predictions" / "poison"
    folder.parent.mkdir(parents=True)
    folder.write_text("a file")
    housekeeping.ship()
    housekeeping.tell_held()
    housekeeping.tell_held()
    (alert,) = stores.alerts.list()
    assert (alert.model, alert.rule, alert.times) == ("poison", HELD_RULE, 2)
    assert "predictions/poison" in alert.summary
    assert service.warnings() == {
        "predictions/poison": "the log does not take its 1 entries; they are kept in the spool"
    }
    service.deployments.refresh()
    assert service.not_ready() == {}
    assert b'mlops_log_held_entries{table="predictions/poison"} 1.0' in service.metrics()
    folder.unlink()
    housekeeping.ship()
    housekeeping.tell_held()
    assert stores.alerts.list() == []
    assert b'mlops_log_held_entries{table="predictions/poison"} 0.0' in service.metrics()
    assert service.warnings() == {}


def test_counts_that_a_model_lacks_are_told_and_counted_once_its_log_takes_all(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path / "home")
    service = Service(settings, Stores(settings).clock)
    stores, housekeeping = service.stores, service._housekeeping
    housekeeping.roll_up()
    stores.spool.append([a_record(0, model="poison"), a_record(0)])
    folder = settings.home / "log" / "predictions" / "poison"
    folder.parent.mkdir(parents=True)
    folder.write_text("a file")
    assert housekeeping.recount().left_out.keys() == {"poison"}
    housekeeping.tell_held()
    assert {alert.rule for alert in stores.alerts.list()} == {HELD_RULE, UNCOUNTED_RULE}
    assert stores.local_rollups.models() == ["flights"]
    housekeeping._recount(stores.local_rollups, only_if_lost=True)  # by a process that comes second
    assert {alert.rule for alert in stores.alerts.list()} == {HELD_RULE, UNCOUNTED_RULE}
    folder.unlink()
    housekeeping.ship()
    housekeeping.tell_held()
    assert stores.alerts.list() == []
    assert stores.local_rollups.models() == ["flights", "poison"]


@pytest.mark.parametrize("text", ["a\0", "a\n", "\x7f", "\x85", "x" * 513])
def test_an_id_that_some_store_refuses_is_refused_at_the_door(text: str) -> None:
    with pytest.raises(InvalidInputError, match="control character"):
        optional_text({"id": text}, "id")
    for good in ("order 7", "é", "\u200b", "a/0", "%20", ""):
        assert optional_text({"id": good}, "id") == good
