"""Blobs and anchors in an S3 bucket: the same names as in a folder, each object written once."""

import hashlib
import logging
import threading
from base64 import b64encode
from collections import defaultdict
from collections.abc import Callable, Iterator
from datetime import UTC
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, NamedTuple

from mlops_dagster.errors import (
    ArtifactChangedError,
    ArtifactNotFoundError,
    CorruptedArtifactError,
    MlopsError,
    StorageError,
)
from mlops_dagster.registry.artifacts.blobs import StoredBlob
from mlops_dagster.registry.artifacts.keys import sha256_in
from mlops_dagster.storage.buckets import error_code, list_objects, read_object, s3_errors
from mlops_dagster.storage.disk import storage_errors

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client
    from types_boto3_s3.type_defs import CompletedPartTypeDef

_PART = 16 << 20
_MOST_PARTS = 10_000  # of one object, a limit of S3
_NOTE_SECONDS = 2.0

# Another process stored the object first or is about to, or our first try succeeded but its response was lost.
_RIVALS = frozenset({"PreconditionFailed", "ConditionalRequestConflict", "NoSuchUpload"})
_ROUNDS = 3

logger = logging.getLogger(__name__)

Progress = Callable[[int, int], None]
"""A callback after each part, with the bytes stored so far and the total."""


class S3Blobs:
    """Blobs in a bucket, below a prefix. Any number of processes may use it at once.

    An object is written on the condition that none exists (`If-None-Match`), so that nothing is ever overwritten.
    It gets the bucket's default retention under Object Lock, and no other.

    Existing bytes are trusted if S3 knows their SHA-256 and it is equal; otherwise they are read again. That checksum
    covers the bytes as sent to S3: bytes that decay there are found by `copy`, which reads them.

    A killed process leaves the parts of an upload behind, which are hidden but cost money: give the bucket a lifecycle
    rule with `AbortIncompleteMultipartUpload`.
    """

    def __init__(self, client: "S3Client", bucket: str, prefix: str = "", *, progress: Progress | None = None) -> None:
        self._client = client
        self._bucket = bucket
        self._prefix = f"{prefix.strip('/')}/".lstrip("/")
        self._progress = progress

    def add(self, file: Path, prefix: str = "") -> str:
        with storage_errors(file):
            content = _read(file)
        key = prefix + content.sha256.hex()
        for _ in range(_ROUNDS):
            if self._holds(key, content) or self._store(key, file, content):
                return key
        raise StorageError(f"others write to {self._url(key)} at this moment; try again")

    def copy(self, key: str, destination: Path) -> None:
        digest = hashlib.sha256()
        with storage_errors(destination), destination.open("xb") as writer:
            for chunk in read_object(self._client, self._bucket, self._name(key)):
                digest.update(chunk)
                writer.write(chunk)
        self._verify(key, digest.hexdigest())

    def has(self, key: str) -> bool:
        try:
            with s3_errors(self._url(key)):
                self._client.head_object(Bucket=self._bucket, Key=self._name(key))
        except ArtifactNotFoundError:
            return False
        return True

    def list(self) -> Iterator[StoredBlob]:
        for found in list_objects(self._client, self._bucket, f"{self._prefix}sha256/"):
            yield StoredBlob(found["Key"].rpartition("/")[2], found["Size"], found["LastModified"].astimezone(UTC))

    def remove(self, key: str) -> None:
        """Remove a content.

        In a bucket with versions a marker hides it, and its bytes stay for as long as the retention and the lifecycle
        rules of the bucket say; adding it again makes it visible again.
        """
        with s3_errors(self._url(key)):
            self._client.delete_object(Bucket=self._bucket, Key=self._name(key))

    def _holds(self, key: str, content: "_Content") -> bool:
        """Return whether the object exists; raises CorruptedArtifactError if it has other bytes."""
        try:
            with s3_errors(self._url(key)):
                found = self._client.head_object(Bucket=self._bucket, Key=self._name(key), ChecksumMode="ENABLED")
        except ArtifactNotFoundError:
            return False
        if (found["ContentLength"], found.get("ChecksumSHA256")) != (content.size, content.checksum):
            digest = hashlib.sha256()
            for chunk in read_object(self._client, self._bucket, self._name(key)):
                digest.update(chunk)
            self._verify(key, digest.hexdigest())
        return True

    def _store(self, key: str, file: Path, content: "_Content") -> bool:
        """Upload the content of `file`, and return True; False if another process is first."""
        from botocore.exceptions import ClientError

        with storage_errors(file), file.open("rb") as reader, s3_errors(self._url(key)):
            try:
                if len(content.parts) == 1:
                    self._put(key, reader, content)
                else:
                    self._upload(key, reader, content)
            except ClientError as error:
                if error_code(error) not in _RIVALS:
                    raise
                return False
        return True

    def _put(self, key: str, reader: BinaryIO, content: "_Content") -> None:
        (body,) = _same_parts(reader, content)
        self._client.put_object(
            Bucket=self._bucket,
            Key=self._name(key),
            Body=body,
            IfNoneMatch="*",
            ChecksumSHA256=_base64(content.sha256),
        )
        self._tell(content.size, content.size)

    def _upload(self, key: str, reader: BinaryIO, content: "_Content") -> None:
        name = self._name(key)
        upload = self._client.create_multipart_upload(Bucket=self._bucket, Key=name, ChecksumAlgorithm="SHA256")
        try:
            parts: list[CompletedPartTypeDef] = []
            sent = 0
            for number, body in enumerate(_same_parts(reader, content), start=1):
                checksum = _base64(content.parts[number - 1])
                part = self._client.upload_part(
                    Bucket=self._bucket,
                    Key=name,
                    UploadId=upload["UploadId"],
                    PartNumber=number,
                    Body=body,
                    ChecksumSHA256=checksum,
                )
                parts.append({"PartNumber": number, "ETag": part["ETag"], "ChecksumSHA256": checksum})
                sent += len(body)
                self._tell(sent, content.size)
            self._client.complete_multipart_upload(
                Bucket=self._bucket,
                Key=name,
                UploadId=upload["UploadId"],
                MultipartUpload={"Parts": parts},
                IfNoneMatch="*",
            )
        except BaseException:
            self._abort(key, upload["UploadId"])
            raise

    def _abort(self, key: str, upload: str) -> None:
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            self._client.abort_multipart_upload(Bucket=self._bucket, Key=self._name(key), UploadId=upload)
        except (BotoCoreError, ClientError) as error:
            if not (isinstance(error, ClientError) and error_code(error) == "NoSuchUpload"):
                logger.warning("the parts of an upload to %s stay until a rule removes them: %s", self._url(key), error)

    def _tell(self, done: int, total: int) -> None:
        if self._progress:
            self._progress(done, total)

    def _verify(self, key: str, found: str) -> None:
        if found != sha256_in(key):
            raise CorruptedArtifactError(
                f"{self._url(key)} holds other bytes (SHA-256 {found}) than were stored; "
                "restore an older version of the object, or remove it and register the artifact again"
            )

    def _name(self, key: str) -> str:
        plain = sha256_in(key)
        return f"{self._prefix}sha256/{plain[:2]}/{plain[2:4]}/{key}"

    def _url(self, key: str) -> str:
        return f"s3://{self._bucket}/{self._name(key)}"


class S3Anchors:
    """One empty object per head, called `<event id>-<hash>`: it exists or not, and no two writers share one."""

    def __init__(self, client: "S3Client", bucket: str, prefix: str) -> None:
        self._client = client
        self._bucket = bucket
        self._prefix = f"{prefix.strip('/')}/".lstrip("/")

    def note(self, event: int, head: str) -> None:
        """Wait at most two seconds: a change that is done, such as a rollback, must not seem to hang with S3."""
        noted = threading.Thread(target=self._put, args=(event, head), daemon=True)
        noted.start()
        noted.join(_NOTE_SECONDS)
        if noted.is_alive():
            logger.warning("S3 takes long to note the head of event %d; it goes on in the background", event)

    def read(self) -> dict[int, set[str]]:
        noted: defaultdict[int, set[str]] = defaultdict(set)
        for found in list_objects(self._client, self._bucket, self._prefix):
            event, _, head = found["Key"].removeprefix(self._prefix).partition("-")
            noted[int(event)].add(head)
        return noted

    def _put(self, event: int, head: str) -> None:
        name = f"{self._prefix}{event:012d}-{head}"
        try:
            with s3_errors(f"s3://{self._bucket}/{name}"):
                self._client.put_object(Bucket=self._bucket, Key=name, Body=b"")
        except MlopsError as error:
            logger.warning("the head of event %d could not be noted: %s", event, error)


class _Content(NamedTuple):
    """The hashes and sizes of a file's content, as first read."""

    sha256: bytes
    size: int
    part_size: int
    parts: tuple[bytes, ...]
    """SHA-256 of each part of the upload, at least one."""

    @property
    def checksum(self) -> str:
        """The `ChecksumSHA256` that S3 has: for an object in parts, the SHA-256 of their checksums and their number."""
        if len(self.parts) == 1:
            return _base64(self.sha256)
        return f"{_base64(hashlib.sha256(b''.join(self.parts)).digest())}-{len(self.parts)}"


def _read(file: Path) -> _Content:
    with file.open("rb") as reader:
        part_size = max(_PART, -(-file.stat().st_size // _MOST_PARTS))
        whole = hashlib.sha256()
        parts = []
        size = 0
        while body := reader.read(part_size):
            whole.update(body)
            parts.append(hashlib.sha256(body).digest())
            size += len(body)
    return _Content(whole.digest(), size, part_size, tuple(parts) or (whole.digest(),))


def _same_parts(reader: BinaryIO, content: _Content) -> Iterator[bytes]:
    """Yield the parts again; raises ArtifactChangedError if one differs from the first reading, or bytes follow."""
    for first in content.parts:
        body = reader.read(content.part_size)
        if hashlib.sha256(body).digest() != first:
            raise _changed(reader)
        yield body
    if reader.read(1):
        raise _changed(reader)


def _changed(reader: BinaryIO) -> ArtifactChangedError:
    return ArtifactChangedError(f"{reader.name!r} changed while it was copied; register it when it is finished")


def _base64(digest: bytes) -> str:
    return b64encode(digest).decode()
