"""Files by name in a folder or bucket; most are written once, those with rows may be replaced."""

import uuid
from contextlib import suppress
from mimetypes import guess_type
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol, TypedDict
from urllib.parse import quote

from mlops_dagster.errors import ArtifactChangedError, ArtifactNotFoundError
from mlops_dagster.storage.addresses import is_s3, parse_s3_url
from mlops_dagster.storage.buckets import list_objects, read_object, s3_client, s3_errors
from mlops_dagster.storage.disk import storage_errors

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client


class Files(Protocol):
    """Files by name, such as `flights/1.2.0/2013-03-01T05.bin`; any number of processes may write at once."""

    def add(self, name: str, content: bytes) -> str:
        """Keep `content` under `name`; an existing file of this name stays as it is. Returns the file's address.

        Raises StorageError.
        """
        ...

    def put(self, name: str, content: bytes) -> str:
        """Keep `content` under `name`, in place of an existing file, all or nothing. Returns the file's address.

        Raises StorageError.
        """
        ...

    def remove(self, name: str) -> None:
        """Remove the file of this name, if it exists; raises StorageError."""
        ...

    def names(self, folder: str) -> list[str]:
        """Return the names of all files in a folder and the folders below it, sorted; raises StorageError."""
        ...

    def has(self, name: str) -> bool:
        """Return whether a file of this name exists; raises StorageError."""
        ...

    def read(self, name: str) -> bytes:
        """Return the bytes of a file; raises ArtifactNotFoundError, StorageError."""
        ...

    def address(self, name: str) -> str:
        """Return the address of a file or folder of this name: a path, or s3://bucket/key."""
        ...

    def link(self, name: str) -> str:
        """Return the link that a person opens in a browser: a path of this machine, or an http(s) address."""
        ...


class LocalFiles:
    """Files in a folder; those that `add` writes are read-only.

    Files are not synced one by one, which would take longer than making them: after a loss of power remove the newest
    files and make them again, by materializing their hours.
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
                unfinished.chmod(0o400)
                with suppress(FileExistsError):
                    place.hardlink_to(unfinished)
            finally:
                unfinished.unlink(missing_ok=True)
        return str(place)

    def put(self, name: str, content: bytes) -> str:
        place = self._path / name
        unfinished = place.with_name(f".{uuid.uuid4().hex}")
        with storage_errors(place):
            place.parent.mkdir(parents=True, exist_ok=True)
            try:
                unfinished.write_bytes(content)
                unfinished.replace(place)
            finally:
                unfinished.unlink(missing_ok=True)
        return str(place)

    def remove(self, name: str) -> None:
        place = self._path / name
        with storage_errors(place):
            place.unlink(missing_ok=True)

    def names(self, folder: str) -> list[str]:
        place = self._path / folder
        with storage_errors(place):
            files = (each for each in place.rglob("*") if each.is_file() and not each.name.startswith("."))
            return sorted(each.relative_to(self._path).as_posix() for each in files)

    def has(self, name: str) -> bool:
        return (self._path / name).exists()

    def read(self, name: str) -> bytes:
        place = self._path / name
        if not place.exists():
            raise ArtifactNotFoundError(f"there is nothing at {str(place)!r}")
        with storage_errors(place):
            return place.read_bytes()

    def address(self, name: str) -> str:
        return str(self._path / name)

    def link(self, name: str) -> str:
        return str((self._path / name).absolute())


class _Object(TypedDict):
    """The arguments that name an object, and its type, in a call of boto3."""

    Bucket: str
    Key: str
    ContentType: str


class S3Files:
    """Objects in a bucket, below a prefix; `add` writes one on the condition that it does not exist."""

    def __init__(self, client: "S3Client", bucket: str, prefix: str) -> None:
        self._client = client
        self._bucket = bucket
        self._prefix = f"{prefix.strip('/')}/".lstrip("/")

    def add(self, name: str, content: bytes) -> str:
        # ArtifactChangedError: the condition failed, so the object exists.
        with suppress(ArtifactChangedError), s3_errors(self.address(name)):
            self._client.put_object(**self._object(name), Body=content, IfNoneMatch="*")
        return self.address(name)

    def put(self, name: str, content: bytes) -> str:
        with s3_errors(self.address(name)):
            self._client.put_object(**self._object(name), Body=content)
        return self.address(name)

    def _object(self, name: str) -> "_Object":
        # Browsers go by the type: they show a page, and save an object without a type to disk.
        kind = guess_type(name)[0] or "application/octet-stream"
        return {"Bucket": self._bucket, "Key": self._prefix + name, "ContentType": kind}

    def remove(self, name: str) -> None:
        with s3_errors(self.address(name)):
            self._client.delete_object(Bucket=self._bucket, Key=self._prefix + name)

    def names(self, folder: str) -> list[str]:
        found = list_objects(self._client, self._bucket, f"{self._prefix}{folder}/")
        return sorted(each["Key"].removeprefix(self._prefix) for each in found)

    def has(self, name: str) -> bool:
        try:
            with s3_errors(self.address(name)):
                self._client.head_object(Bucket=self._bucket, Key=self._prefix + name)
        except ArtifactNotFoundError:
            return False
        return True

    def read(self, name: str) -> bytes:
        return b"".join(read_object(self._client, self._bucket, self._prefix + name))

    def address(self, name: str) -> str:
        return f"s3://{self._bucket}/{self._prefix}{name}"

    def link(self, name: str) -> str:
        return f"{self._client.meta.endpoint_url}/{self._bucket}/{quote(self._prefix + name)}"


def open_files(
    storage: str,
    folder: Literal["profiles", "reports", "data_docs", "quarantine", "batch_scores"],
    s3: "S3Client | None" = None,
) -> Files:
    """Open one of the folders of a store, on disk or at s3://bucket/prefix."""
    if is_s3(storage):
        bucket, prefix = parse_s3_url(storage)
        return S3Files(s3 or s3_client(), bucket, f"{prefix.strip('/')}/{folder}")
    return LocalFiles(Path(storage, folder))
