"""An artifact in an S3 bucket: one object, or all objects with keys below a prefix."""

from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from mlops_dagster.errors import ArtifactChangedError, ArtifactNotFoundError, InvalidInputError
from mlops_dagster.storage.addresses import parse_s3_url
from mlops_dagster.storage.buckets import list_objects, read_object, s3_client, s3_errors
from mlops_dagster.storage.disk import storage_errors

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client


def download(url: str, folder: Path, client: "S3Client | None" = None) -> Path:
    """Copy the object s3://bucket/key, or the folder of objects below that key, into `folder`; return the copy's path.

    Raises ArtifactNotFoundError, ArtifactChangedError (it changed meanwhile), StorageError, and InvalidInputError for
    keys that cannot be files of a folder.
    """
    bucket, key = parse_s3_url(url)
    client = client or s3_client()
    etag = _etag(client, bucket, key)
    if etag is None:
        return _download_folder(client, bucket, key and f"{key.rstrip('/')}/", folder / "artifact")
    target = folder / _names([key.rpartition("/")[2]])[0]
    _download(client, bucket, key, etag, target)
    return target


def _download_folder(client: "S3Client", bucket: str, prefix: str, target: Path) -> Path:
    etags = _etags(client, bucket, prefix)
    if not etags:
        raise ArtifactNotFoundError(f"there is nothing at s3://{bucket}/{prefix.rstrip('/')}")
    for name in _names(list(etags)):
        _download(client, bucket, prefix + name, etags[name], target / name)
    if _etags(client, bucket, prefix) != etags:
        raise ArtifactChangedError(f"objects came or went below s3://{bucket}/{prefix} meanwhile; register it again")
    return target


def _download(client: "S3Client", bucket: str, key: str, etag: str, target: Path) -> None:
    with storage_errors(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        with target.open("xb") as writer:
            writer.writelines(read_object(client, bucket, key, etag))


def _etag(client: "S3Client", bucket: str, key: str) -> str | None:
    """Return the object's ETag, which differs for a later object under the same key; None if the key has no object."""
    if not key or key.endswith("/"):
        return None
    try:
        with s3_errors(f"s3://{bucket}/{key}"):
            return client.head_object(Bucket=bucket, Key=key)["ETag"]
    except ArtifactNotFoundError:
        return None


def _etags(client: "S3Client", bucket: str, prefix: str) -> dict[str, str]:
    """Return ETags by name below the prefix, without the empty objects with which some tools mark a folder."""
    return {
        found["Key"].removeprefix(prefix): found["ETag"]
        for found in list_objects(client, bucket, prefix)
        if found["Size"] or not found["Key"].endswith("/")
    }


def _names(names: list[str]) -> list[str]:
    """Return `names` unchanged; raises InvalidInputError if one of them cannot be a file below a folder."""
    folders = {str(parent) for name in names for parent in PurePosixPath(name).parents}
    for name in names:
        if {"", ".", ".."} & set(name.split("/")) or "\0" in name or name in folders:
            raise InvalidInputError(
                f"the key {name!r} cannot be the name of a file in a folder; copy it to another key"
            )
    return names
