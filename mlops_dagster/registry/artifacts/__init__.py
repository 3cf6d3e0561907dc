"""Where the bytes of models are kept, each under its own digest."""

from mlops_dagster.registry.artifacts.blobs import Anchors, Blobs, StoredBlob
from mlops_dagster.registry.artifacts.content import FOLDER, ContentStore
from mlops_dagster.registry.artifacts.local import LocalAnchors, LocalBlobs
from mlops_dagster.registry.artifacts.opening import open_store

__all__ = ["FOLDER", "Anchors", "Blobs", "ContentStore", "LocalAnchors", "LocalBlobs", "StoredBlob", "open_store"]
