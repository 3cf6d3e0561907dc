"""Artifacts that are registered from S3."""

import os
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from mlops_dagster.errors import (
    ArtifactChangedError,
    ArtifactNotFoundError,
    InvalidInputError,
    ModelNotFoundError,
    StorageError,
    UnsafeArtifactError,
)
from mlops_dagster.registry import ModelRegistry
from mlops_dagster.settings import Settings
from tests.support import weed
from tests.support.proxy import Proxy

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client

FOLDER = {"model.onnx": b"weights", "vocabulary/a": b"a", "vocabulary/b": b"", "ä +%20": b"odd"}


@pytest.fixture
def client(s3_server: str) -> "S3Client":
    return weed.client(s3_server)


@pytest.fixture
def proxy(s3_server: str) -> Iterator[Proxy]:
    host, _, port = s3_server.removeprefix("http://").partition(":")
    with Proxy((host, int(port))) as proxy:
        yield proxy


@pytest.fixture
def registry(client: "S3Client", s3: str, tmp_path: Path) -> Iterator[ModelRegistry]:
    """Keeps its artifacts in a folder, and reads the sources with `client`."""
    with closing(ModelRegistry(settings=Settings(home=tmp_path / "home"), actor="tester", s3=client)) as registry:
        yield registry


@pytest.fixture
def put(s3_server: str, s3: str) -> Callable[..., None]:
    """Writes objects by a way of its own."""

    def put(objects: dict[str, bytes], prefix: str = "") -> None:
        for name, content in objects.items():
            weed.client(s3_server).put_object(Bucket=s3, Key=prefix + name, Body=content)

    return put


def nothing_registered(registry: ModelRegistry, home: Path) -> bool:
    return registry.models() == [] and not [path for path in (home / "artifacts").rglob("*") if path.is_file()]


def test_an_object_is_registered(registry: ModelRegistry, put: Callable[..., None], s3: str, tmp_path: Path) -> None:
    content = os.urandom(3 << 20)
    put({"classifier/v2.4.1": content})
    version = registry.register("classifier", f"s3://{s3}/classifier/v2.4.1", "v2.4.1")
    assert registry.fetch(version, tmp_path / "copy").read_bytes() == content
    (tmp_path / "same").write_bytes(content)
    assert registry.register("classifier", tmp_path / "same", "2.4.1") == version


@pytest.mark.parametrize("ending", ["", "/"])
def test_a_prefix_is_registered_as_a_folder(
    registry: ModelRegistry, put: Callable[..., None], s3: str, tmp_path: Path, ending: str
) -> None:
    put(FOLDER, "classifier/v2.4.1/")
    put({"": b"", "vocabulary/": b""}, "classifier/v2.4.1/")  # as consoles mark a folder
    put({"model.onnx": b"another"}, "classifier/v2.4.10/")
    version = registry.register("classifier", f"s3://{s3}/classifier/v2.4.1{ending}")
    copy = registry.fetch(version, tmp_path / "copy")
    found = {str(file.relative_to(copy)): file.read_bytes() for file in copy.rglob("*") if file.is_file()}
    assert found == FOLDER


def test_what_is_not_there_is_said(registry: ModelRegistry, put: Callable[..., None], s3: str) -> None:
    put({"classifier/v2.4.1": b"weights"})
    for key in ("classifier/v2.4", "classifier/v2.4.1/", "classifier/v2.4.1/model"):
        with pytest.raises(ArtifactNotFoundError, match=f"there is nothing at s3://{s3}/classifier/v2.4"):
            registry.register("classifier", f"s3://{s3}/{key}")
    with pytest.raises(StorageError, match="the bucket of s3://absent/model/ does not exist"):
        registry.register("classifier", "s3://absent/model")
    with pytest.raises(InvalidInputError, match="names no bucket"):
        registry.register("classifier", "s3:///model")


@pytest.mark.parametrize("names", [["a/../../escape"], ["/etc/passwd"], ["./a"], ["a//b"], ["a", "a/b"], ["b/"]])
def test_keys_that_no_folder_can_have_are_refused(
    registry: ModelRegistry, client: "S3Client", s3: str, tmp_path: Path, names: list[str]
) -> None:
    def listed(parsed: dict[str, object], **_: object) -> None:
        parsed["Contents"] = [{"Key": f"model/{name}", "ETag": '"1"', "Size": 1} for name in names]

    # This server keeps its objects as files, and so refuses or folds such keys; S3 takes them.
    client.meta.events.register("after-call.s3.ListObjectsV2", listed)
    with pytest.raises(InvalidInputError, match="cannot be the name of a file in a folder"):
        registry.register("classifier", f"s3://{s3}/model/")
    assert nothing_registered(registry, tmp_path / "home")


def test_a_pickle_is_refused_from_s3_too(registry: ModelRegistry, put: Callable[..., None], s3: str) -> None:
    put({"model.pkl": b"anything"})
    with pytest.raises(UnsafeArtifactError, match=r"model\.pkl is a pickle by its name"):
        registry.register("classifier", f"s3://{s3}/model.pkl")


@pytest.mark.parametrize("key", ["model.onnx", "vocabulary/c"])
@pytest.mark.parametrize("source", ["v1", "v1/model.onnx"])
def test_a_source_that_changes_while_it_is_read_is_not_registered(
    registry: ModelRegistry,
    client: "S3Client",
    put: Callable[..., None],
    s3: str,
    tmp_path: Path,
    source: str,
    key: str,
) -> None:
    put(FOLDER, "v1/")

    def change(**_: object) -> None:
        put({key: b"changed"}, "v1/")

    client.meta.events.register_first("before-call.s3.GetObject", change)
    if (source, key) == ("v1/model.onnx", "vocabulary/c"):  # a neighbour is no part of it
        registry.register("classifier", f"s3://{s3}/{source}")
        return
    with pytest.raises(ArtifactChangedError, match="meanwhile"):
        registry.register("classifier", f"s3://{s3}/{source}")
    assert nothing_registered(registry, tmp_path / "home")


@pytest.mark.parametrize(
    "fault",
    [lambda p: p.answer(500), lambda p: p.answer(503), lambda p: p.hang(), lambda p: p.cut(after=1 << 20)],
    ids=["500", "503", "hang", "cut"],
)
def test_a_source_that_fails_midway_is_not_registered(
    proxy: Proxy, put: Callable[..., None], s3: str, tmp_path: Path, fault: Callable[[Proxy], None]
) -> None:
    put({"model.onnx": bytes(range(256)) * 8192})
    client = weed.client(proxy.url, read_timeout=2)

    def fail(**_: object) -> None:
        fault(proxy)

    client.meta.events.register("before-call.s3.GetObject", fail)
    with closing(ModelRegistry(settings=Settings(home=tmp_path / "home"), s3=client)) as registry:
        with pytest.raises(StorageError, match=f"s3://{s3}/model.onnx cannot be read"):
            registry.register("classifier", f"s3://{s3}/model.onnx")
        assert nothing_registered(registry, tmp_path / "home")
        with pytest.raises(ModelNotFoundError):
            registry.list("classifier")
