"""A registry that keeps its artifacts on S3, through the SDK."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import create_engine, text

from mlops_dagster.errors import AuditError, CorruptedArtifactError, StorageError, VersionExistsError
from mlops_dagster.registry import ModelCard, ModelRegistry
from mlops_dagster.settings import Settings
from tests.support import weed
from tests.support.proxy import Proxy

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client

ROOT = Path(__file__).parents[2]

KILLED_IN_THE_MIDDLE = """
import os, signal, sys
from mlops_dagster.registry import ModelRegistry
from mlops_dagster.storage.buckets import s3_client

client = s3_client()
parts = []

def kill(**_):
    parts.append(1)
    if len(parts) == 2:
        os.kill(os.getpid(), signal.SIGKILL)

client.meta.events.register("before-call.s3.UploadPart", kill)
ModelRegistry(s3=client).register("flights", sys.argv[1])
"""


@pytest.fixture
def settings(s3: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setenv("MLOPS_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("MLOPS_STORAGE_URL", f"s3://{s3}/artifacts")
    return Settings()


@pytest.fixture
def registry(settings: Settings) -> Iterator[ModelRegistry]:
    with closing(ModelRegistry(actor="tester")) as registry:
        yield registry


@pytest.fixture
def client(s3_server: str) -> "S3Client":
    return weed.client(s3_server)


@pytest.fixture
def model(tmp_path: Path) -> Path:
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "model.onnx").write_bytes(bytes(range(256)) * 400)
    (tmp_path / "model" / "vocabulary").write_text("a b c")
    return tmp_path / "model"


def test_from_registration_to_rollback_with_the_artifacts_on_s3(
    registry: ModelRegistry, model: Path, card: ModelCard, tmp_path: Path
) -> None:
    first = registry.register("flights", model, card=card)
    assert registry.register("flights", model, first.version) == first
    (model / "vocabulary").write_text("d e f")
    with pytest.raises(VersionExistsError):
        registry.register("flights", model, first.version)
    second = registry.register("flights", model, card=card)
    for version in (first, second):
        registry.transition(version, "Production")
    registry.rollback("flights", reason="bad")
    copy = registry.fetch(registry.champion("flights"), tmp_path / "copy")
    assert (copy / "vocabulary").read_text() == "a b c"
    assert registry.audit().events == len(registry.history("flights"))


def test_a_tail_that_is_cut_shows_by_the_anchors_on_s3(
    registry: ModelRegistry, settings: Settings, client: "S3Client", s3: str, model: Path
) -> None:
    for _ in range(2):
        registry.register("flights", model)
    database = create_engine(settings.database)
    with database.begin() as connection:
        connection.execute(text("DROP TRIGGER events_refuse_delete"))
        connection.execute(text("DELETE FROM events WHERE id = (SELECT max(id) FROM events)"))
        connection.execute(text("DELETE FROM versions WHERE version = (SELECT max(version) FROM versions)"))
    database.dispose()
    with pytest.raises(AuditError, match="2"):
        registry.audit()
    for entry in client.list_objects_v2(Bucket=s3, Prefix="artifacts/anchors/mlops/")["Contents"]:
        client.delete_object(Bucket=s3, Key=entry["Key"])
    assert registry.audit().events == 1  # nothing else tells


def test_other_bytes_under_a_version_are_not_loaded(
    registry: ModelRegistry, client: "S3Client", s3: str, tmp_path: Path
) -> None:
    (tmp_path / "a.onnx").write_bytes(b"weights")
    version = registry.register("flights", tmp_path / "a.onnx")
    (entry,) = client.list_objects_v2(Bucket=s3, Prefix="artifacts/sha256/")["Contents"]
    client.put_object(Bucket=s3, Key=entry["Key"], Body=b"WEIGHTS")
    with pytest.raises(CorruptedArtifactError, match="holds other bytes"):
        registry.fetch(version, tmp_path / "copy")
    assert not (tmp_path / "copy").exists()


def test_kill_9_in_the_middle_of_an_upload_leaves_no_version(
    registry: ModelRegistry, client: "S3Client", s3: str, tmp_path: Path
) -> None:
    large = tmp_path / "large.onnx"
    large.write_bytes(os.urandom(1000) * 17_000)  # two parts
    died = subprocess.run(
        [sys.executable, "-c", KILLED_IN_THE_MIDDLE, str(large)], env=os.environ | {"PYTHONPATH": str(ROOT)}
    )
    assert died.returncode == -signal.SIGKILL
    assert len(client.list_multipart_uploads(Bucket=s3)["Uploads"]) == 1
    assert "Contents" not in client.list_objects_v2(Bucket=s3)
    assert registry.models() == []
    assert registry.audit().events == 0
    version = registry.register("flights", large)
    assert registry.fetch(version, tmp_path / "copy").read_bytes() == large.read_bytes()


def test_an_upload_that_fails_leaves_no_version_and_what_there_is_stays(
    registry: ModelRegistry, s3_server: str, model: Path, tmp_path: Path
) -> None:
    version = registry.register("flights", model)
    (model / "model.onnx").write_bytes(b"other weights")
    host, _, port = s3_server.removeprefix("http://").partition(":")
    with Proxy((host, int(port))) as proxy:
        far = weed.client(proxy.url)
        far.meta.events.register("before-call.s3.PutObject", lambda **_: proxy.answer(500))
        with closing(ModelRegistry(s3=far)) as failing, pytest.raises(StorageError, match="try again when S3 is well"):
            failing.register("flights", model)
    assert registry.list("flights") == [version]
    registry.fetch(version, tmp_path / "copy")
    assert registry.audit().events == 1


def test_a_transition_is_made_while_s3_is_away(
    registry: ModelRegistry, s3_server: str, model: Path, caplog: pytest.LogCaptureFixture
) -> None:
    version = registry.register("flights", model)
    host, _, port = s3_server.removeprefix("http://").partition(":")
    with Proxy((host, int(port))) as proxy, closing(ModelRegistry(s3=weed.client(proxy.url))) as far:
        proxy.answer(503)
        far.transition(version, "Shadow")
    assert registry.deployment("flights").shadows == (version.version,)
    assert "the head of event 2 could not be noted" in caplog.text
    assert registry.audit().events == 2  # an anchor that is missing is none that is broken


def test_memory_does_not_grow_with_the_artifact(s3: str) -> None:
    """200 MB here; `bench/artifact_memory.py` does the same with 5 GB."""
    bench = subprocess.run(
        [sys.executable, ROOT / "bench" / "artifact_memory.py", f"s3://{s3}/artifacts", "200"],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    measured = json.loads(bench.stdout)
    assert measured["after_mb"] - measured["before_mb"] < 100
