"""What is known of where a version comes from, and that it stays known."""

import re
import subprocess
from dataclasses import replace
from importlib import metadata
from pathlib import Path

import pytest

from mlops_dagster.errors import ArtifactNotFoundError
from mlops_dagster.registry import ModelRegistry, Stage
from mlops_dagster.registry.operations.lineage import digests_of


@pytest.fixture
def uri(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The kind of database has no say in this."""
    monkeypatch.setenv("MLOPS_HOME", str(tmp_path / "home"))
    return f"sqlite:///{tmp_path}/home/mlops.sqlite"


@pytest.fixture
def artifact(tmp_path: Path) -> Path:
    (tmp_path / "model.onnx").write_bytes(b"weights")
    return tmp_path / "model.onnx"


def git(folder: Path, *arguments: str) -> str:
    identity = ("-c", "user.name=a", "-c", "user.email=a@b", "-c", "commit.gpgsign=false")
    found = subprocess.run(["git", *identity, *arguments], cwd=folder, capture_output=True, text=True, check=True)
    return found.stdout.strip()


def code_of(registry: ModelRegistry, folder: Path) -> dict[str, str]:
    found = registry.code_lineage(folder)
    return {key: found[key] for key in ("commit", "dirty") if key in found}


def test_code_is_known_by_its_commit_and_whether_that_is_all_of_it(registry: ModelRegistry, tmp_path: Path) -> None:
    code = tmp_path / "code"
    (code / "inner").mkdir(parents=True)
    assert code_of(registry, code) == {}
    git(code, "init", "-q")
    assert code_of(registry, code) == {}
    (code / "a.py").write_text("1")
    git(code, "add", ".")
    git(code, "commit", "-qm", "first")
    commit = git(code, "rev-parse", "HEAD")
    for folder in (code, code / "inner"):
        assert code_of(registry, folder) == {"commit": commit, "dirty": "false"}
    for change in ("a.py", "untracked.py"):
        (code / change).write_text("2")
        assert code_of(registry, code) == {"commit": commit, "dirty": "true"}
        git(code, "stash", "-qu")


def test_without_git_there_is_less_to_know(
    registry: ModelRegistry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert registry.code_lineage(tmp_path).keys() == {"python", "environment"}
    assert registry.code_lineage(tmp_path / "absent").keys() == {"python", "environment"}


def test_the_environment_of_a_version_can_be_read_again(
    registry: ModelRegistry, artifact: Path, tmp_path: Path
) -> None:
    version = registry.register("flights", artifact, "1.0.0-rc.1", lineage=registry.code_lineage())
    lines = registry.environment(version).splitlines()
    assert lines == sorted(lines)
    assert {f"{name}=={metadata.version(name)}" for name in ("numpy", "scikit-learn", "skops")} <= set(lines)
    assert all(re.fullmatch(r"[a-z0-9-]+==\S+", line) for line in lines)
    final = registry.transition(version, Stage.PRODUCTION, force=True, reason="a test")
    assert registry.environment(final) == registry.environment(version)
    (place,) = (tmp_path / "home").rglob(version.lineage["environment"])
    assert digests_of(final.digest, final.lineage) == {version.digest, place.name}

    plain = registry.register("flights", artifact, lineage={"environment": "prod"})
    assert digests_of(plain.digest, plain.lineage) == {plain.digest}
    for unknown in (plain, replace(plain, lineage={})):
        with pytest.raises(ArtifactNotFoundError, match="its environment is not known"):
            registry.environment(unknown)


def test_no_version_names_an_environment_that_is_not_there(
    registry: ModelRegistry, artifact: Path, tmp_path: Path
) -> None:
    lineage = registry.code_lineage()
    (place,) = (tmp_path / "home").rglob(lineage["environment"])
    place.unlink()
    with pytest.raises(ArtifactNotFoundError, match="which is not in the store"):
        registry.register("flights", artifact, lineage=lineage)
    assert registry.models() == []
    assert registry.register("flights", artifact, lineage=registry.code_lineage()).version == "1.0.0"
