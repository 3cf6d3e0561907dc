"""The content store: the bytes of models, each kept under its digest."""

from mlops_dagster.registry.artifacts.blobs import Anchors, Blobs, StoredBlob
from mlops_dagster.registry.artifacts.content import FOLDER, ContentStore
from mlops_dagster.registry.artifacts.local import LocalAnchors, LocalBlobs
from mlops_dagster.registry.artifacts.opening import open_store
from mlops_dagster.registry.artifacts.s3 import Progress, S3Anchors, S3Blobs

__all__ = [
    "FOLDER",
    "Anchors",
    "Blobs",
    "ContentStore",
    "LocalAnchors",
    "LocalBlobs",
    "Progress",
    "S3Anchors",
    "S3Blobs",
    "StoredBlob",
    "open_store",
]
