"""Blobs and anchors in a local folder: `sha256/ab/cd/abcd...`, one read-only file for each content."""

import hashlib
import logging
import os
import uuid
from collections import defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO

from mlops_dagster.errors import ArtifactChangedError, ArtifactNotFoundError, CorruptedArtifactError
from mlops_dagster.registry.artifacts.blobs import StoredBlob
from mlops_dagster.registry.artifacts.keys import sha256_in
from mlops_dagster.storage.disk import storage_errors
from mlops_dagster.storage.durable import sync

_CHUNK = 1 << 20

logger = logging.getLogger(__name__)


class LocalBlobs:
    """Blobs in a folder. Any number of processes may use it at once."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def add(self, file: Path, prefix: str = "") -> str:
        with storage_errors(self._path):
            self._path.mkdir(parents=True, exist_ok=True)
            copy = self._path / f".tmp-{uuid.uuid4().hex}"
            try:
                key = prefix + _copy(file, copy)
                self._keep_or_tell(copy, key)
            finally:
                copy.unlink(missing_ok=True)
        return key

    def copy(self, key: str, destination: Path) -> None:
        place = self._existing(key)
        with storage_errors(destination):
            self._verify(key, _copy(place, destination))

    def has(self, key: str) -> bool:
        return self._place(key).exists()

    def list(self) -> Iterator[StoredBlob]:
        with storage_errors(self._path):
            for file in self._path.glob("sha256/??/??/*"):
                found = file.stat()
                yield StoredBlob(file.name, found.st_size, datetime.fromtimestamp(found.st_mtime, UTC))

    def remove(self, key: str) -> None:
        with storage_errors(self._path):
            self._place(key).unlink(missing_ok=True)

    def _keep_or_tell(self, copy: Path, key: str) -> None:
        try:
            self._keep(copy, key)
        except FileNotFoundError as error:
            raise ArtifactChangedError(
                f"{str(self._place(key))!r} was removed, as an orphan, while it was stored; register it again"
            ) from error

    def _keep(self, copy: Path, key: str) -> None:
        """Move a finished copy to its place, or verify the content that is there already."""
        place = self._place(key)
        if place.exists():
            self._verify(key, _copy(place, None))
        else:
            place.parent.mkdir(parents=True, exist_ok=True)
            copy.chmod(0o400)
            copy.rename(place)
        # Sync after the rename, so that one sync makes bytes, name and folders durable: a sync takes longer than all
        # the rest. A writer that finds the content there may be ahead of the process that put it, so it syncs as well.
        sync(place)

    def _existing(self, key: str) -> Path:
        place = self._place(key)
        if not place.exists():
            raise ArtifactNotFoundError(f"the store {str(self._path)!r} has nothing under the digest {key}")
        return place

    def _verify(self, key: str, found: str) -> None:
        if found != sha256_in(key):
            raise CorruptedArtifactError(
                f"{str(self._place(key))!r} holds other bytes (SHA-256 {found}) than were stored; "
                "restore it from a backup, or remove it and register the artifact again"
            )

    def _place(self, key: str) -> Path:
        plain = sha256_in(key)
        return self._path / "sha256" / plain[:2] / plain[2:4] / key


class LocalAnchors:
    """Anchors as empty files `<event id>-<hash>`, one per head: a file exists or not, and no two writers share one."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def note(self, event: int, head: str) -> None:
        try:
            self._path.mkdir(parents=True, exist_ok=True)
            (self._path / f"{event:012d}-{head}").touch()
        except OSError as error:
            logger.warning("the head of event %d could not be noted in %s: %s", event, self._path, error)

    def read(self) -> dict[int, set[str]]:
        noted = defaultdict(set)
        if self._path.is_dir():
            for file in self._path.iterdir():
                event, _, head = file.name.partition("-")
                noted[int(event)].add(head)
        return noted


def _copy(source: Path, target: Path | None) -> str:
    """Copy `source` to `target`, unless that is None, and return the SHA-256 of the bytes read."""
    with source.open("rb") as reader:
        before = os.fstat(reader.fileno())
        digest = hashlib.sha256()
        if target is None:
            return hashlib.file_digest(reader, "sha256").hexdigest()
        with target.open("xb") as writer:
            for chunk in _chunks(reader):
                digest.update(chunk)
                writer.write(chunk)
        after = os.fstat(reader.fileno())
    if (before.st_mtime_ns, before.st_size) != (after.st_mtime_ns, after.st_size):
        raise ArtifactChangedError(f"{str(source)!r} changed while it was copied; register it when it is finished")
    return digest.hexdigest()


def _chunks(reader: BinaryIO) -> Iterator[bytes]:
    while chunk := reader.read(_CHUNK):
        yield chunk
