import os
from pathlib import Path

import pytest

from mlops_dagster.access import Scope
from mlops_dagster.alerting import Severity
from mlops_dagster.backup import back_up
from mlops_dagster.errors import HomeNotWritableError
from mlops_dagster.registry import ModelRegistry
from mlops_dagster.serving.deployed.registry_cache import RegistryCache
from mlops_dagster.settings import Settings
from mlops_dagster.storage import private
from mlops_dagster.stores import Stores
from tests.support.predictions.records import a_record


def test_a_home_that_cannot_be_written_is_refused_at_once(tmp_path: Path) -> None:
    # The tests may run as root, whom no file mode stops; a folder under a file, or in /proc, stops root too.
    (tmp_path / "file").write_text("")
    for home in (tmp_path / "file" / "home", Path("/proc/mlops")):
        for arguments in ({"settings": Settings(home=home)}, {"uri": f"sqlite:///{home}/mlops.sqlite"}):
            with pytest.raises(HomeNotWritableError, match="cannot write to MLOPS_HOME") as error:
                ModelRegistry(**arguments)
            assert str(home) in error.value.message
            assert error.value.code == "home_not_writable"


def test_settings_say_where_things_are(tmp_path: Path, card) -> None:
    settings = Settings(home=tmp_path / "home")
    (tmp_path / "model.onnx").write_text("weights")
    ModelRegistry(settings=settings).register("flights", tmp_path / "model.onnx", card=card)
    assert (tmp_path / "home" / "mlops.sqlite").is_file()
    assert Path(settings.storage).is_dir()
    assert ModelRegistry(settings.database).audit().events == 1


def test_pickles_are_taken_when_the_operator_says_so(tmp_path: Path) -> None:
    (tmp_path / "model.pkl").write_text("weights")
    registry = ModelRegistry(settings=Settings(home=tmp_path / "home", allow_unsafe_artifacts=True))
    version = registry.register("flights", tmp_path / "model.pkl")
    assert registry.fetch(version, tmp_path / "copy").read_text() == "weights"


def test_every_write_names_its_actor(tmp_path: Path, monkeypatch) -> None:
    (tmp_path / "model.onnx").write_text("weights")
    monkeypatch.setenv("LOGNAME", "ada")
    ModelRegistry(settings=Settings(home=tmp_path)).register("flights", tmp_path / "model.onnx")
    registry = ModelRegistry(settings=Settings(home=tmp_path), actor="token:ci")
    registry.transition(registry.get("flights", "1.0.0"), "Shadow")
    assert [event.actor for event in registry.history("flights")] == ["ada", "token:ci"]


def open_to_others(home: Path) -> dict[str, str]:
    """What others than its owner may do anything with."""
    every = [home, *home.rglob("*")]
    return {str(path): oct(path.stat().st_mode) for path in every if path.stat().st_mode & 0o077}


def a_life(home: Path, card, artifact: Path) -> None:
    """Everything that writes into a home, in a process that lets others read what it makes."""
    stores = Stores(Settings(home=home))
    stores.registry.register("flights", artifact, card=card)
    stores.spool.append([a_record(0, key="ada")])
    assert stores.spool.feedback([("p0", "late", None)], model="flights").accepted == 1
    stores.rollups.catch_up(stores.spool, lambda *_: None)
    stores.log.ship(stores.spool)
    stores.log.tidy()
    stores.alerts.report("flights", "validation", Severity.CRITICAL, "bad")
    stores.quarantine.put("flights/2013-03-01T00.parquet", b"rows")
    stores.profiles.add("flights/1.0.0/2013-03-01T00.bin", b"a profile")
    stores.tokens.create("ci", [Scope.INFER], at=stores.clock.now(), by="ada")
    RegistryCache(stores.settings.last_known_path).close()


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o027])
def test_a_home_is_closed_to_others_whatever_the_umask(tmp_path: Path, card, umask: int) -> None:
    (tmp_path / "model.onnx").write_text("weights")
    before = os.umask(umask)
    try:
        a_life(tmp_path / "home", card, tmp_path / "model.onnx")
        os.umask(umask)
        back_up(tmp_path / "home", tmp_path / "copy")
    finally:
        os.umask(before)
    assert len(list((tmp_path / "home").rglob("*"))) > 30
    assert open_to_others(tmp_path / "home") == {}
    assert open_to_others(tmp_path / "copy") == {}


def test_a_home_that_was_open_is_closed_and_said_so(tmp_path: Path, card, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "model.onnx").write_text("weights")
    home = tmp_path / "home"
    a_life(home, card, tmp_path / "model.onnx")
    for path in (home, *home.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)
    Stores(Settings(home=home))
    assert open_to_others(home) == {}
    assert "were open to other users; now they are not" in caplog.text


def test_a_folder_that_a_registry_shares_with_others_stays_theirs(tmp_path: Path) -> None:
    theirs = tmp_path / "theirs.txt"
    theirs.write_text("a friend's")
    theirs.chmod(0o644)
    tmp_path.chmod(0o755)
    ModelRegistry(f"sqlite:///{tmp_path}/models.sqlite")
    assert list(open_to_others(tmp_path)) == [str(tmp_path), str(theirs)]


def test_a_file_that_is_gone_before_it_is_closed_is_no_fault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """SQLite removes its logs at any time."""
    left = tmp_path / "mlops.sqlite"
    left.touch(mode=0o644)
    monkeypatch.setattr(private, "_entries", lambda *_, **__: [tmp_path / "mlops.sqlite-wal", left])
    private.tighten(tmp_path, alone=True)
    assert not left.stat().st_mode & private.PRIVATE
