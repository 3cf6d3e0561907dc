"""A database that goes away at any moment: a clear error, and all of a change or nothing of it."""

import time
from pathlib import Path

import pytest
from sqlalchemy import make_url

from mlops_dagster.database import engines, watchdog
from mlops_dagster.errors import StorageError
from mlops_dagster.registry import ModelCard, ModelRegistry
from tests.support.proxy import Proxy


@pytest.fixture
def proxy(postgresql_server: str) -> Proxy:
    return Proxy(Path(str(make_url(postgresql_server).query["host"]), ".s.PGSQL.5432"))


def behind(proxy: Proxy, url: str) -> ModelRegistry:
    """The registry at `url` as one reaches it through the proxy."""
    address = make_url(url)
    options = {"options": address.query["options"], "sslmode": "disable"}
    through = address.set(host="127.0.0.1", port=proxy.port, query=options)
    return ModelRegistry(through.render_as_string(hide_password=False))


# A promotion makes the server say some 4,000 bytes; what is cut late is the answer to the commit.
CUTS = (*range(0, 4000, 250),)


def test_a_server_that_goes_away_in_a_promotion_leaves_all_of_it_or_nothing(
    proxy: Proxy, postgresql: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, card: ModelCard
) -> None:
    monkeypatch.setenv("MLOPS_HOME", str(tmp_path))
    direct = ModelRegistry(postgresql)
    (tmp_path / "model.onnx").write_text("weights")
    versions = [direct.register("flights", tmp_path / "model.onnx", f"1.{minor}.0", card=card) for minor in range(2)]
    direct.transition(versions[0], "Production")
    messages = []
    with proxy:
        registry = behind(proxy, postgresql)
        registry.champion("flights")
        for cut in CUTS:
            before = direct.deployment("flights")
            events = len(direct.history("flights"))
            target = next(version for version in versions if version.version != before.champion)
            if direct.get("flights", target.version).stage == "Deprecated":
                direct.transition(target, "Shadow")
                before, events = direct.deployment("flights"), events + 1
            proxy.cut(cut)
            try:
                registry.transition(target, "Production")
            except StorageError as error:
                messages.append(error.message)
            proxy.heal()
            after = direct.deployment("flights")
            made = len(direct.history("flights")) - events
            assert (after.champion, made) in ((before.champion, 0), (target.version, 2))
            direct.audit()
            # The next call finds the server again.
            assert registry.deployment("flights") == after
        registry.close()
    assert len(messages) > 5
    assert all("look with `mlops models history` whether the change was made" in message for message in messages)
    direct.close()


def test_a_server_that_goes_away_in_a_registration_leaves_no_half_of_a_version(
    proxy: Proxy, postgresql: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, card: ModelCard
) -> None:
    monkeypatch.setenv("MLOPS_HOME", str(tmp_path))
    direct = ModelRegistry(postgresql)
    (tmp_path / "model.onnx").write_text("weights")
    failed = 0
    with proxy:
        registry = behind(proxy, postgresql)
        for number, cut in enumerate(range(0, 2000, 200)):
            proxy.cut(cut)
            try:
                registry.register("flights", tmp_path / "model.onnx", f"1.{number}.0", card=card)
            except StorageError:
                failed += 1
            proxy.heal()
            # Registering the same again is what one does then, and it finishes what was begun.
            version = registry.register("flights", tmp_path / "model.onnx", f"1.{number}.0", card=card)
            assert registry.fetch(version, tmp_path / f"copy {number}").read_text() == "weights"
        registry.close()
    assert failed > 2
    assert [event.kind for event in direct.history("flights")] == ["registered"] * 10
    direct.audit()
    direct.close()


def test_a_server_that_hangs_is_left_after_a_while(
    proxy: Proxy, postgresql: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, card: ModelCard
) -> None:
    monkeypatch.setenv("MLOPS_HOME", str(tmp_path))
    (tmp_path / "model.onnx").write_text("weights")
    with proxy:
        registry = behind(proxy, postgresql)
        version = registry.register("flights", tmp_path / "model.onnx", card=card)
        epoch = registry.deployment("flights").epoch
        proxy.hang()
        with monkeypatch.context() as hurried:
            hurried.setattr(watchdog, "PATIENCE_SECONDS", 1.0)
            for call in (
                lambda: registry.transition(version, "Production", expected_epoch=epoch),
                lambda: registry.deployment("flights"),
            ):
                with pytest.raises(StorageError, match="cannot be used"):
                    call()
        proxy.heal()
        registry.transition(registry.get("flights", "1.0.0"), "Production")
        registry.audit()
        registry.close()


def test_a_server_that_hangs_while_nobody_asks_is_left_by_the_next_who_does(
    proxy: Proxy, postgresql: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A connection that was idle is tried first: that takes no longer than anything else."""
    monkeypatch.setenv("MLOPS_HOME", str(tmp_path))
    monkeypatch.setattr(engines, "_PING_SECONDS", 0.5)
    with proxy:
        registry = behind(proxy, postgresql)
        assert registry.models() == []
        proxy.hang()
        monkeypatch.setattr(engines, "_IDLE_SECONDS", 0.0)
        began = time.monotonic()
        with pytest.raises(StorageError, match="cannot be used"):
            registry.models()
        assert time.monotonic() - began < 20
        proxy.heal()
        assert registry.models() == []
        registry.close()
