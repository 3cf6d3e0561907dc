from pathlib import Path

import pytest

from mlops_dagster.errors import HomeNotWritableError
from mlops_dagster.registry import ModelRegistry
from mlops_dagster.settings import Settings


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
