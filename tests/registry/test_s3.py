"""What S3 adds to a store of bytes: parts, conditions, locks, and a network that fails in the middle."""

import hashlib
import os
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from botocore.exceptions import ClientError
from botocore.stub import Stubber

from mlops_dagster.errors import ArtifactChangedError, CorruptedArtifactError, InvalidInputError, StorageError
from mlops_dagster.registry import ContentStore
from mlops_dagster.registry.artifacts import S3Anchors, S3Blobs, open_store
from mlops_dagster.storage.buckets import s3_client
from tests.support import weed
from tests.support.proxy import Proxy

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client

PART = 5 << 20  # the least that S3 takes
SIZE = 2 * PART + 1000

Break = Callable[[Proxy], None]


@pytest.fixture
def proxy(s3_server: str) -> Iterator[Proxy]:
    host, _, port = s3_server.removeprefix("http://").partition(":")
    with Proxy((host, int(port))) as proxy:
        yield proxy


@pytest.fixture
def client(s3_server: str) -> "S3Client":
    return weed.client(s3_server)


@pytest.fixture
def weak(proxy: Proxy) -> "S3Client":
    """A client behind the proxy, which waits for 2 s and tries once."""
    return weed.client(proxy.url, read_timeout=2)


@pytest.fixture
def large(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file of three parts, the last one short."""
    monkeypatch.setattr("mlops_dagster.registry.artifacts.s3._PART", PART)
    file = tmp_path / "large.onnx"
    file.write_bytes(os.urandom(SIZE))
    return file


def stored(client: "S3Client", bucket: str) -> list[str]:
    return [entry["Key"] for entry in client.list_objects_v2(Bucket=bucket).get("Contents", ())]


def unfinished(client: "S3Client", bucket: str) -> int:
    return len(client.list_multipart_uploads(Bucket=bucket).get("Uploads", ()))


def before(client: "S3Client", operation: str, act: Callable[[], object]) -> None:
    """Do something whenever the client is about to call this operation."""

    def handler(**_: object) -> None:
        act()

    client.meta.events.register(f"before-call.s3.{operation}", handler)


def refuse() -> None:
    pytest.fail("the bytes went over the network again")


def test_a_large_file_goes_in_parts_and_comes_back(client: "S3Client", s3: str, large: Path, tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    blobs = S3Blobs(client, s3, progress=lambda done, total: told.append((done, total)))
    key = blobs.add(large)
    assert told == [(PART, SIZE), (2 * PART, SIZE), (SIZE, SIZE)]
    assert stored(client, s3) == [f"sha256/{key[:2]}/{key[2:4]}/{key}"]
    blobs.copy(key, tmp_path / "copy")
    assert (tmp_path / "copy").read_bytes() == large.read_bytes()


def test_bytes_that_s3_vouches_for_are_neither_sent_nor_read_again(s3_server: str, s3: str, large: Path) -> None:
    once = s3_client()
    small = large.with_name("small.onnx")
    small.write_bytes(b"weights")
    keys = [S3Blobs(once, s3).add(file) for file in (large, small)]
    for operation in ("GetObject", "PutObject", "CreateMultipartUpload", "UploadPart"):
        before(once, operation, refuse)
    assert [S3Blobs(once, s3).add(file) for file in (large, small)] == keys


@pytest.mark.parametrize(("size", "last"), [(SIZE, "CompleteMultipartUpload"), (1000, "PutObject")])
@pytest.mark.parametrize("same", [True, False], ids=["same bytes", "other bytes"])
def test_of_two_that_store_at_once_the_second_overwrites_nothing(
    client: "S3Client", s3: str, large: Path, size: int, last: str, same: bool
) -> None:
    os.truncate(large, size)
    client.put_bucket_versioning(Bucket=s3, VersioningConfiguration={"Status": "Enabled"})
    rival = S3Blobs(client, s3)
    key = hashlib.sha256(large.read_bytes()).hexdigest()
    name = f"sha256/{key[:2]}/{key[2:4]}/{key}"
    own = s3_client()
    before(own, last, lambda: rival.add(large) if same else client.put_object(Bucket=s3, Key=name, Body=b"other"))
    if same:
        assert S3Blobs(own, s3).add(large) == key
    else:
        with pytest.raises(CorruptedArtifactError, match="holds other bytes"):
            S3Blobs(own, s3).add(large)
    assert [version["Key"] for version in client.list_object_versions(Bucket=s3)["Versions"]] == [name]
    assert unfinished(client, s3) == 0


@pytest.mark.parametrize(
    ("size", "change"),
    [
        (SIZE, lambda file: file.write_bytes(bytes(SIZE))),
        (SIZE, lambda file: os.truncate(file, PART)),
        (SIZE, lambda file: os.truncate(file, SIZE + 1)),
        (2 * PART, lambda file: os.truncate(file, SIZE)),
    ],
    ids=["other", "shorter", "longer", "more parts"],
)
def test_a_large_file_that_changes_while_it_is_sent_leaves_nothing(
    client: "S3Client", s3: str, large: Path, size: int, change: Callable[[Path], object]
) -> None:
    os.truncate(large, size)
    blobs = S3Blobs(client, s3, progress=lambda done, _: change(large) if done == PART else None)
    with pytest.raises(ArtifactChangedError, match="changed while it was copied"):
        blobs.add(large)
    assert stored(client, s3) == []
    assert unfinished(client, s3) == 0


@pytest.mark.parametrize("content", [b"other", b"weights and more", b""])
def test_a_small_file_that_changes_while_it_is_sent_leaves_nothing(
    client: "S3Client", s3: str, tmp_path: Path, content: bytes
) -> None:
    (tmp_path / "a").write_bytes(b"weights")
    own = s3_client()
    before(own, "HeadObject", lambda: (tmp_path / "a").write_bytes(content))
    with pytest.raises(ArtifactChangedError, match="changed while it was copied"):
        S3Blobs(own, s3).add(tmp_path / "a")
    assert stored(client, s3) == []


FAULTS = pytest.mark.parametrize(
    "fault", [lambda p: p.answer(500), lambda p: p.hang(), lambda p: p.cut()], ids=["500", "hang", "cut"]
)


@FAULTS
def test_an_upload_that_fails_midway_leaves_nothing(
    proxy: Proxy, client: "S3Client", weak: "S3Client", s3: str, large: Path, fault: Break
) -> None:
    before(weak, "AbortMultipartUpload", proxy.heal)
    blobs = S3Blobs(weak, s3, progress=lambda done, _: fault(proxy) if done == PART else None)
    with pytest.raises(StorageError, match=f"s3://{s3}/sha256/.* cannot be read or written"):
        blobs.add(large)
    assert stored(client, s3) == []
    assert unfinished(client, s3) == 0
    proxy.heal()
    assert S3Blobs(weak, s3).has(S3Blobs(weak, s3).add(large))


def test_parts_that_cannot_be_removed_are_told_of(
    proxy: Proxy, client: "S3Client", weak: "S3Client", s3: str, large: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(StorageError):
        S3Blobs(weak, s3, progress=lambda *_: proxy.answer(500)).add(large)
    assert f"the parts of an upload to s3://{s3}/" in caplog.text
    assert unfinished(client, s3) == 1


@FAULTS
def test_a_download_that_fails_midway_leaves_nothing(
    proxy: Proxy, client: "S3Client", weak: "S3Client", s3: str, large: Path, tmp_path: Path, fault: Break
) -> None:
    digest = ContentStore(S3Blobs(client, s3)).put(large)
    store = ContentStore(S3Blobs(weak, s3))
    fault(proxy)
    with pytest.raises(StorageError):
        store.fetch(digest, tmp_path / "out" / "copy")
    proxy.cut(after=PART)
    with pytest.raises(StorageError, match="cannot be read or written"):
        store.fetch(digest, tmp_path / "out" / "copy")
    assert list((tmp_path / "out").iterdir()) == []
    proxy.heal()
    assert store.fetch(digest, tmp_path / "out" / "copy").read_bytes() == large.read_bytes()


@pytest.mark.parametrize("size", [SIZE, PART])
def test_a_bit_that_flips_on_the_way_is_found(
    proxy: Proxy, client: "S3Client", weak: "S3Client", s3: str, large: Path, tmp_path: Path, size: int
) -> None:
    os.truncate(large, size)
    digest = ContentStore(S3Blobs(client, s3)).put(large)
    proxy.flip(after=PART // 2)
    with pytest.raises(CorruptedArtifactError, match=f"s3://{s3}/sha256/.* holds other bytes"):
        ContentStore(S3Blobs(weak, s3)).fetch(digest, tmp_path / "out" / "copy")
    assert list((tmp_path / "out").iterdir()) == []


@pytest.mark.parametrize("fault", [lambda p: p.answer(500), lambda p: p.cut()], ids=["500", "answer lost"])
@pytest.mark.parametrize("operation", ["PutObject", "UploadPart", "CompleteMultipartUpload"])
def test_a_fault_that_passes_is_got_over(
    proxy: Proxy,
    client: "S3Client",
    s3: str,
    large: Path,
    monkeypatch: pytest.MonkeyPatch,
    fault: Break,
    operation: str,
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", proxy.url)
    if operation == "PutObject":
        large.write_bytes(b"weights")
    retrying = s3_client()
    tries: list[str] = []

    def fail_once(**_: object) -> None:
        tries.append(operation)
        (fault if len(tries) == 1 else Proxy.heal)(proxy)

    retrying.meta.events.register(f"before-send.s3.{operation}", fail_once)
    key = S3Blobs(retrying, s3).add(large)
    assert len(tries) > 1
    assert stored(client, s3) == [f"sha256/{key[:2]}/{key[2:4]}/{key}"]
    assert unfinished(client, s3) == 0


def test_a_note_neither_raises_nor_waits_for_long(
    proxy: Proxy, client: "S3Client", weak: "S3Client", s3: str, caplog: pytest.LogCaptureFixture
) -> None:
    patient = S3Anchors(weed.client(proxy.url, read_timeout=30), s3, "anchors/mlops")
    patient.note(1, "ab")
    proxy.hang()
    start = time.monotonic()
    patient.note(2, "cd")
    assert time.monotonic() - start < 4
    assert "takes long to note the head of event 2" in caplog.text
    proxy.answer(500)
    patient.note(3, "ef")
    assert "the head of event 3 could not be noted" in caplog.text
    assert S3Anchors(client, s3, "anchors/mlops").read() == {1: {"ab"}}
    with pytest.raises(StorageError):
        patient.read()


def test_what_the_bucket_locks_stays(client: "S3Client", s3: str, large: Path, tmp_path: Path) -> None:
    bucket = f"{s3}-locked"
    client.create_bucket(Bucket=bucket, ObjectLockEnabledForBucket=True)
    client.put_object_lock_configuration(
        Bucket=bucket,
        ObjectLockConfiguration={
            "ObjectLockEnabled": "Enabled",
            "Rule": {"DefaultRetention": {"Mode": "COMPLIANCE", "Days": 1}},
        },
    )
    (tmp_path / "small").write_bytes(b"weights")
    blobs, anchors = open_store(f"s3://{bucket}/artifacts", anchors="mlops", s3=client)
    keys = {blobs.add(large), blobs.add(tmp_path / "small")}
    anchors.note(1, "ab")
    versions = client.list_object_versions(Bucket=bucket)["Versions"]
    assert len(versions) == 3
    for version in versions:
        retention = client.get_object_retention(Bucket=bucket, Key=version["Key"])["Retention"]
        assert retention["Mode"] == "COMPLIANCE"
        assert retention["RetainUntilDate"] > datetime.now(UTC) + timedelta(hours=23)
        with pytest.raises(ClientError, match="AccessDenied"):
            client.delete_object(Bucket=bucket, Key=version["Key"], VersionId=version["VersionId"])
    for key in keys:
        blobs.remove(key)
    assert list(blobs.list()) == []
    kept = {version["VersionId"] for version in client.list_object_versions(Bucket=bucket)["Versions"]}
    assert kept == {version["VersionId"] for version in versions}
    assert {blobs.add(large), blobs.add(tmp_path / "small")} == keys
    assert {blob.key for blob in blobs.list()} == keys


def test_what_is_wrong_with_a_bucket_is_said(s3_server: str, s3: str, tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"weights")
    with pytest.raises(StorageError, match="the bucket of s3://absent/sha256/.* does not exist"):
        S3Blobs(weed.client(s3_server), "absent").add(tmp_path / "a")
    reader, stranger = weed.client(s3_server, weed.READER), weed.client(s3_server, ("nobody", "nothing"))
    for refused, why in ((reader, "check the credentials"), (stranger, "these credentials may not read it")):
        with pytest.raises(StorageError, match=f"S3 refuses the access to s3://.*{why}"):
            S3Blobs(refused, s3).add(tmp_path / "a")
    with pytest.raises(StorageError, match="refuses the access"):
        list(S3Blobs(stranger, s3).list())
    for storage in ("s3://", "s3:///prefix", "gs://bucket/prefix"):
        with pytest.raises(InvalidInputError, match="s3://bucket/"):
            open_store(storage, anchors="mlops")


def test_a_configuration_that_lacks_something_is_said(s3: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(variable)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", os.devnull)
    with pytest.raises(StorageError, match=f"finds no credentials for s3://{s3}/"):
        list(open_store(f"s3://{s3}", anchors="mlops")[0].list())
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "no address")
    with pytest.raises(InvalidInputError, match="boto3 cannot be used as it is configured"):
        open_store(f"s3://{s3}", anchors="mlops")


def test_what_is_refused_for_want_of_a_right_to_list_says_so(client: "S3Client", s3: str, tmp_path: Path) -> None:
    """As S3 answers for an object that is not there, where a policy grants s3:GetObject and s3:PutObject only."""
    file = tmp_path / "small"
    file.write_bytes(b"bytes")
    blobs = S3Blobs(client, s3)
    with Stubber(client) as stubber:
        for operation, code in (("head_object", "403"), ("head_object", "403"), ("get_object", "AccessDenied")):
            stubber.add_client_error(operation, code, http_status_code=403)
        for act in (
            lambda: blobs.add(file),
            lambda: blobs.has("0" * 64),
            lambda: blobs.copy("0" * 64, tmp_path / "copy"),
        ):
            with pytest.raises(StorageError, match="they lack s3:ListBucket"):
                act()
