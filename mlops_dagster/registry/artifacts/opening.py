"""Opening of blobs and anchors from the setting of their place."""

from pathlib import Path
from typing import TYPE_CHECKING

from mlops_dagster.errors import InvalidInputError
from mlops_dagster.registry.artifacts.blobs import Anchors, Blobs
from mlops_dagster.registry.artifacts.local import LocalAnchors, LocalBlobs
from mlops_dagster.registry.artifacts.s3 import Progress, S3Anchors, S3Blobs
from mlops_dagster.storage.addresses import is_s3, parse_s3_url
from mlops_dagster.storage.buckets import s3_client
from mlops_dagster.urls import shown_url

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client


def open_store(
    storage: str, *, anchors: str, s3: "S3Client | None" = None, progress: Progress | None = None
) -> tuple[Blobs, Anchors]:
    """Return the blobs at `storage`, a folder or s3://bucket/prefix, and the anchors called `anchors` in it.

    Raises InvalidInputError for another kind of URL.
    """
    if is_s3(storage):
        bucket, prefix = parse_s3_url(storage)
        client = s3 or s3_client()
        blobs = S3Blobs(client, bucket, prefix, progress=progress)
        return blobs, S3Anchors(client, bucket, f"{prefix.strip('/')}/anchors/{anchors}")
    if "://" in storage:
        raise InvalidInputError(
            f"no artifacts can be kept at {shown_url(storage)!r}; use s3://bucket/prefix or a folder"
        )
    return LocalBlobs(Path(storage)), LocalAnchors(Path(storage, "anchors", anchors))
