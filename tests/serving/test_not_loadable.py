"""A version that will not load: the champion answers, the registry hears of it once, and the rollout ends.

Where the registry was told of it, on another machine, it worked.
"""

import logging
from collections.abc import Callable
from pathlib import Path

import pytest

from mlops_dagster.clock import SystemClock
from mlops_dagster.registry import ModelVersion
from mlops_dagster.rollout import Outcome, Phase, RolloutPolicy
from mlops_dagster.serving.deployed import loader
from mlops_dagster.serving.service import Service
from mlops_dagster.settings import Settings
from mlops_dagster.stores import Stores
from tests.support import weed
from tests.support.broken import crashing
from tests.support.proxy import Proxy
from tests.support.servable import elsewhere
from tests.support.serving.data_plane import CARD, SCHEMA, Models, eventually
from tests.support.serving.light import light_artifacts

MODEL = "unloadable"


def no_model(models: Models, folder: Path) -> ModelVersion:
    path = folder / "model.onnx"
    path.write_text("these are no bytes of a model")
    return registered_elsewhere(models, path)


def registered_elsewhere(models: Models, path: Path) -> ModelVersion:
    with elsewhere():
        return models.stores.registry.register(MODEL, path, "1.1.0", schema=SCHEMA, card=CARD)


def corrupt(models: Models, folder: Path) -> ModelVersion:
    version = registered_anew(models, folder)
    (stored,) = [path for path in Path(models.stores.settings.storage).rglob(f"*{version.digest}") if path.is_file()]
    stored.chmod(0o644)
    stored.write_bytes(stored.read_bytes()[:-1] + b"?")
    return version


def asks_for_what_is_not_installed(models: Models, folder: Path) -> ModelVersion:
    """Its one operator is of a library that this machine does not have."""
    import onnx
    from onnx import TensorProto, helper

    delay = helper.make_tensor_value_info("delay", TensorProto.FLOAT, [None, 1])
    found = helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, [None, 2])
    node = helper.make_node("Boost", ["delay"], ["probabilities"], domain="com.example.boosting")
    graph = helper.make_graph([node], "boosted", [delay], [found])
    domains = [helper.make_opsetid("", 17), helper.make_opsetid("com.example.boosting", 1)]
    onnx.save(helper.make_model(graph, opset_imports=domains, ir_version=9), folder / "boosted.onnx")
    return registered_elsewhere(models, folder / "boosted.onnx")


def registered_anew(models: Models, folder: Path) -> ModelVersion:
    """As good as the champion, and of other bytes."""
    (path,) = {*light_artifacts(folder, turns=1).values()}
    return models.stores.registry.register(MODEL, path, "1.1.0", schema=SCHEMA, card=CARD)


def kills_whoever_asks_it(models: Models, folder: Path) -> ModelVersion:
    return registered_elsewhere(models, crashing(folder / "model.skops"))


REASONS = {
    kills_whoever_asks_it: "crashed with SIGSEGV while scoring one row",
    corrupt: "holds other bytes",
    no_model: "can be loaded neither as skops nor as ONNX",
    asks_for_what_is_not_installed: "com.example.boosting",
}


def refreshed(services: list[Service]) -> None:
    for service in services:
        service.deployments.refresh()


@pytest.mark.slow
@pytest.mark.parametrize("spoilt", REASONS)
def test_it_is_withdrawn_with_the_reason_while_the_champion_answers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, spoilt: Callable[[Models, Path], ModelVersion]
) -> None:
    monkeypatch.setattr(loader, "RETRY_SECONDS", 0.0)
    stores = Stores(Settings(home=tmp_path / "home"), actor="test")
    models = Models(stores, light_artifacts(tmp_path))
    models.champion(MODEL)
    spoilt(models, tmp_path)
    controller = stores.controller(lambda _model: RolloutPolicy())
    assert controller.tick(MODEL).outcome is Outcome.HOLD
    services = [Service(stores.settings, SystemClock()) for _ in range(2)]
    try:

        def told() -> str | None:
            refreshed(services)
            found = stores.registry.get(MODEL, "1.1.0")
            return found.reason.removeprefix("not loadable: ") if found.rolled_back else None

        def champion_answers_alone() -> bool:
            refreshed(services)
            seen = [service.deployments.get(MODEL) for service in services]
            return [(now.deployment.champion, now.deployment.shadows, now.unavailable) for now in seen] == [
                ("1.0.0", (), None)
            ] * 2

        tried = spoilt is not corrupt
        why = eventually(
            told if tried else lambda: refreshed(services) or stores.registry.why_not_loaded(MODEL, "1.1.0")
        )
        assert REASONS[spoilt] in why
        eventually(champion_answers_alone)
        decision = eventually(lambda: controller.check_limits(MODEL))
        assert decision.outcome is Outcome.ROLLBACK
        controller.tick(MODEL)
        rollout = stores.rollouts.list(MODEL)[-1]
        assert (rollout.phase, rollout.reason) == (Phase.ROLLED_BACK, f"not loadable: {why}")
        refreshed(services)
        epoch = stores.registry.deployment(MODEL).epoch
        assert [seen.epoch for seen in stores.registry.acknowledgements(MODEL)].count(epoch) == 2
        shown = [(alert.rule, alert.severity, alert.subject) for alert in stores.alerts.list(MODEL)]
        assert shown == ([("version_refused", "warning", "1.1.0")] if tried else [])
        history = stores.registry.history(MODEL)
        if tried:
            (event,) = [event for event in history if event.kind in ("not_loaded", "rollback")]
            assert (event.version, event.actor, event.reason) == ("1.1.0", "data plane", f"not loadable: {why}")
        else:
            (event,) = [event for event in history if event.kind == "not_loaded"]
            assert (event.version, event.actor, event.reason) == ("1.1.0", "data plane", why)
    finally:
        for service in services:
            service.stop()
        stores.registry.close()


def test_a_store_that_is_away_is_no_fault_of_the_version(
    s3: str, s3_server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(loader, "RETRY_SECONDS", 0.0)
    settings = Settings(home=tmp_path / "home", storage_url=f"s3://{s3}/models")
    stores = Stores(settings, actor="test")
    models = Models(stores, light_artifacts(tmp_path))
    models.champion(MODEL)
    registered_anew(models, tmp_path)
    stores.controller(lambda _model: RolloutPolicy()).tick(MODEL)
    host, port = s3_server.removeprefix("http://").split(":")
    with Proxy((host, int(port))) as proxy:
        for variable, value in weed.environment(proxy.url).items():
            monkeypatch.setenv(variable, value)
        service = Service(settings, SystemClock())
        proxy.answer(503)
        try:

            def failed_often() -> bool:
                refreshed([service])
                failures = [line for line in caplog.records if "1.1.0 cannot be loaded" in line.getMessage()]
                return len(failures) > loader.TRIES_TOLD

            with caplog.at_level(logging.ERROR):
                eventually(failed_often)
            assert stores.registry.why_not_loaded(MODEL, "1.1.0") is None
            proxy.heal()

            def in_force() -> bool:
                refreshed([service])
                return service.deployments.get(MODEL).deployment.shadows == ("1.1.0",)

            eventually(in_force)
        finally:
            service.stop()
            stores.registry.close()
