"""Where profiles are kept: files that are written once, each under a name that says what it is of."""

import uuid
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from mlops_dagster.errors import ArtifactChangedError, ArtifactNotFoundError
from mlops_dagster.registry.artifacts.disk import storage_errors
from mlops_dagster.registry.buckets import parse_s3_url, read_object, s3_client, s3_errors

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client

_FOLDER = "profiles"


class ProfileFiles(Protocol):
    """Immutable files by name, such as `flights/1.2.0/2013-03-01T05.bin`. Any number of processes may add at once."""

    def add(self, name: str, content: bytes) -> str:
        """Keep `content`, unless there is a file of this name: that one stays as it is. Returns its address.

        Raises StorageError.
        """
        ...

    def read(self, name: str) -> bytes:
        """The bytes; raises ArtifactNotFoundError, StorageError."""
        ...


class LocalProfileFiles:
    """Read-only files in a folder.

    They are not synced one by one, which would take longer than making them: after a loss of power remove the newest
    and profile their hours again.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def add(self, name: str, content: bytes) -> str:
        place = self._path / name
        unfinished = place.with_name(f".{uuid.uuid4().hex}")
        with storage_errors(place):
            place.parent.mkdir(parents=True, exist_ok=True)
            try:
                unfinished.write_bytes(content)
                unfinished.chmod(0o444)
                with suppress(FileExistsError):
                    place.hardlink_to(unfinished)
            finally:
                unfinished.unlink(missing_ok=True)
        return str(place)

    def read(self, name: str) -> bytes:
        place = self._path / name
        if not place.exists():
            raise ArtifactNotFoundError(f"there is nothing at {str(place)!r}")
        with storage_errors(place):
            return place.read_bytes()


class S3ProfileFiles:
    """Objects in a bucket, below a prefix, each written on the condition that there is none."""

    def __init__(self, client: "S3Client", bucket: str, prefix: str) -> None:
        self._client = client
        self._bucket = bucket
        self._prefix = f"{prefix.strip('/')}/".lstrip("/")

    def add(self, name: str, content: bytes) -> str:
        address = f"s3://{self._bucket}/{self._prefix}{name}"
        # ArtifactChangedError: the condition failed, it is there.
        with suppress(ArtifactChangedError), s3_errors(address):
            self._client.put_object(Bucket=self._bucket, Key=self._prefix + name, Body=content, IfNoneMatch="*")
        return address

    def read(self, name: str) -> bytes:
        return b"".join(read_object(self._client, self._bucket, self._prefix + name))


def open_profile_files(storage: str, s3: "S3Client | None" = None) -> ProfileFiles:
    """The profiles in a store of artifacts: a folder, or s3://bucket/prefix."""
    if storage.startswith("s3://"):
        bucket, prefix = parse_s3_url(storage)
        return S3ProfileFiles(s3 or s3_client(), bucket, f"{prefix.strip('/')}/{_FOLDER}")
    return LocalProfileFiles(Path(storage, _FOLDER))
