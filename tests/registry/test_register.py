import json
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from mlops_dagster.errors import (
    ArtifactNotFoundError,
    CorruptedArtifactError,
    InvalidInputError,
    InvalidNameError,
    InvalidVersionError,
    ModelNotFoundError,
    UnsafeArtifactError,
    VersionExistsError,
    VersionNotFoundError,
)
from mlops_dagster.registry import Baseline, ModelCard, ModelRegistry, Stage
from mlops_dagster.registry.estimators import save
from mlops_dagster.schema import Feature, ModelSchema
from mlops_dagster.statistics import CategoricalBins, Histogram, NumericBins
from mlops_dagster.tasks import Classification
from tests.support.servable import constant


def test_a_version_comes_back_with_everything(registry: ModelRegistry, tmp_path: Path, card: ModelCard, clock) -> None:
    schema = ModelSchema(
        features=(Feature(name="hour", kind="numeric"),), task=Classification(classes=("on_time", "late"))
    )
    artifact = save(constant(schema), tmp_path / "model.skops")
    hour = Histogram.of(NumericBins(edges=(6.0, 12.0)), [1.0, 7.0, None])
    label = Histogram.of(CategoricalBins(categories=("on_time", "late")), ["late", None])
    version = registry.register(
        model_name="flights",
        artifact_uri=artifact.as_uri(),
        version="v2.4.1",
        tags={"env": "prod"},
        description="Hotfix: +0.6% acc",
        card=card,
        baseline=Baseline({"hour": hour}, hour, label),
        schema=schema,
        metrics={"accuracy": 0.93},
        lineage={"dagster_run": "1234"},
    )
    assert version == registry.get("flights", "v2.4.1") == registry.list("flights")[0]
    assert (version.version, version.stage, version.created_at) == ("2.4.1", Stage.REGISTERED, clock.now())
    assert version.baseline is not None
    assert version.baseline.features["hour"].counts.tolist() == [1, 1, 1, 0]
    assert registry.fetch(version, tmp_path / "copy").read_bytes() == artifact.read_bytes()
    (event,) = registry.history("flights")
    assert (event.kind, event.version, event.actor, event.evidence["digest"]) == (
        "registered",
        "2.4.1",
        "tester",
        version.digest,
    )
    assert registry.models() == ["flights"]
    assert registry.champion("flights") is None


def test_the_same_bytes_are_the_same_version_and_others_never(registry: ModelRegistry, tmp_path: Path, add) -> None:
    first = add("1.0.0")
    again = registry.register("flights", tmp_path / "model.onnx", "v1.0.0", description="changed")
    assert again == first
    (tmp_path / "model.onnx").write_text("others")
    with pytest.raises(VersionExistsError, match="flights 1.0.0 is registered with other bytes") as error:
        registry.register("flights", tmp_path / "model.onnx", "1.0.0")
    assert error.value.code == "version_exists"
    assert registry.list("flights") == [first]
    assert len(registry.history("flights")) == 1


def test_a_version_that_is_not_named_is_the_next_patch_of_the_highest(add) -> None:
    assert [add(name).version for name in (None, None, "1.10.0", "1.9.7", None)] == [
        "1.0.0",
        "1.0.1",
        "1.10.0",
        "1.9.7",
        "1.10.1",
    ]


def test_bad_input_leaves_no_trace(registry: ModelRegistry, tmp_path: Path) -> None:
    good = tmp_path / "model.onnx"
    good.write_text("weights")
    (tmp_path / "model.pkl").write_text("weights")
    for error, arguments in (
        (InvalidNameError, ("../etc", good)),
        (InvalidVersionError, ("flights", good, "one")),
        (ArtifactNotFoundError, ("flights", tmp_path / "absent")),
        (UnsafeArtifactError, ("flights", tmp_path / "model.pkl")),
        (InvalidInputError, ("flights", "gs://models/classifier/v2.4.1")),
        (InvalidInputError, ("flights", "models:/classifier/1")),
        (InvalidInputError, ("flights", "file://elsewhere/model")),
    ):
        with pytest.raises(error):
            registry.register(*arguments)
    with pytest.raises(InvalidInputError, match="JSON"):
        registry.register("flights", good, tags={"a": object()})  # type: ignore[dict-item]  # what a caller may get wrong
    assert registry.models() == []
    assert registry.audit().events == 0


def test_what_is_not_there_is_named(registry: ModelRegistry, add) -> None:
    version = add("1.0.0")
    for call in (registry.deployment, registry.history, registry.list, registry.champion):
        with pytest.raises(ModelNotFoundError, match="'ghost'"):
            call("ghost")
    with pytest.raises(ModelNotFoundError):
        registry.get("ghost", "1.0.0")
    with pytest.raises(VersionNotFoundError, match=r"no version '9.9.9'; the newest are 1.0.0"):
        registry.get("flights", "9.9.9")
    with pytest.raises(VersionNotFoundError):
        registry.transition(replace(version, version="9.9.9"), "Shadow")
    with pytest.raises(VersionNotFoundError):
        registry.rollback("flights", reason="bad", to="9.9.9")


@pytest.mark.parametrize("uri", ["mysql://db/x", "sqlite://", "sqlite:///:memory:", "nonsense", "/a/path"])
def test_other_stores_are_refused_with_what_is_supported(uri: str) -> None:
    with pytest.raises(InvalidInputError, match="use sqlite:///path"):
        ModelRegistry(uri)


def test_corrupted_bytes_are_never_handed_out(registry: ModelRegistry, tmp_path: Path, add) -> None:
    version = add("1.0.0")
    (place,) = (tmp_path / "home").rglob(version.digest)
    place.chmod(0o644)
    place.write_bytes(b"bytes of 1.0.1")
    with pytest.raises(CorruptedArtifactError, match=version.digest):
        registry.fetch(version, tmp_path / "copy")
    with pytest.raises(CorruptedArtifactError):
        registry.load(version)
    assert not (tmp_path / "copy").exists()


KILLED_BEFORE_THE_ROW = """
import os, signal, sys
from mlops_dagster.registry import ModelRegistry
from mlops_dagster.registry.stores import sql
sql.insert_version = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
ModelRegistry(sys.argv[1]).register("flights", sys.argv[2], "1.0.0")
"""


def test_a_crash_between_bytes_and_row_leaves_no_version(
    registry: ModelRegistry, uri: str, tmp_path: Path, start_process
) -> None:
    (tmp_path / "model.onnx").write_bytes(b"weights")
    killed = start_process(KILLED_BEFORE_THE_ROW, uri, str(tmp_path / "model.onnx"))
    assert (killed.communicate()[1], killed.returncode) == ("", -9)
    kept = [path.read_bytes() for path in (tmp_path / "home" / "artifacts" / "sha256").rglob("*") if path.is_file()]
    assert kept == [b"weights"]
    assert registry.models() == []
    assert registry.register("flights", tmp_path / "model.onnx", "1.0.0").version == "1.0.0"
    assert registry.audit().events == 1


REGISTER_TEN = """
import json, sys
from pathlib import Path
from mlops_dagster.registry import ModelRegistry
sys.stdin.readline()
registry = ModelRegistry(sys.argv[1])
artifact = Path(sys.argv[2])
artifact.write_text("the same")
print(json.dumps([registry.register("flights", artifact).version for _ in range(10)]))
"""


def test_processes_that_open_and_register_at_once_get_versions_of_their_own(
    uri: str, tmp_path: Path, start_process: Callable[..., "subprocess.Popen[str]"]
) -> None:
    workers = [start_process(REGISTER_TEN, uri, str(tmp_path / f"{number}.onnx")) for number in range(3)]
    for worker in workers:
        worker.stdin.write("go\n")
        worker.stdin.flush()
    outcomes = [worker.communicate() for worker in workers]
    assert [errors for _, errors in outcomes] == [""] * 3
    versions = [version for output, _ in outcomes for version in json.loads(output)]
    assert sorted(versions, key=lambda name: int(name.split(".")[2])) == [f"1.0.{number}" for number in range(30)]
    assert ModelRegistry(uri).audit().events == 30


@pytest.mark.parametrize("text", ["half a pair: \ud800", "a NUL: \0"])
def test_a_text_that_a_database_cannot_hold_is_the_callers_error(
    registry: ModelRegistry, tmp_path: Path, text: str
) -> None:
    (tmp_path / "model.onnx").write_text("weights")
    try:
        version = registry.register("flights", tmp_path / "model.onnx", description=text)
    except InvalidInputError:
        assert registry.models() == []
    else:  # SQLite keeps a NUL
        assert registry.get("flights", version.version).description == text
    registry.audit()
