"""The content store in a local folder: `sha256/ab/cd/abcd...`, one read-only file for each content."""

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from mlops_dagster.errors import (
    ArtifactNotFoundError,
    CorruptedArtifactError,
    InvalidInputError,
    StorageError,
)
from mlops_dagster.registry.artifacts.unsafe import refuse_unsafe

_FOLDER = "folder-"
_CHUNK = 1 << 20


class LocalContentStore:
    """A ContentStore on the file system. Any number of processes may use it at once."""

    def __init__(self, path: Path, *, allow_unsafe: bool = False) -> None:
        self._path = path
        self._allow_unsafe = allow_unsafe

    def put(self, path: Path) -> str:
        if not path.exists():
            raise ArtifactNotFoundError(f"there is no artifact at {str(path)!r}")
        with _storage_errors(self._path):
            return self._put_folder(path) if path.is_dir() else self._put_file(path, path.name)

    def fetch(self, digest: str, destination: Path) -> Path:
        if destination.is_dir() and (not digest.startswith(_FOLDER) or any(destination.iterdir())):
            raise InvalidInputError(f"{str(destination)!r} is a folder already; name the path that the copy shall have")
        with _storage_errors(destination), _workspace(destination.parent) as workspace:
            copy = workspace / "copy"
            if digest.startswith(_FOLDER):
                self._copy_folder(digest, copy)
            else:
                self._copy_file(digest, copy)
            return copy.rename(destination)

    def _put_file(self, path: Path, name: str) -> str:
        if not path.is_file():
            raise InvalidInputError(f"{str(path)!r} is neither a file nor a folder")
        with _workspace(self._path) as workspace:
            copy = workspace / "copy"
            digest = _copy(path, copy)
            if not self._allow_unsafe:
                refuse_unsafe(copy, name)
            self._keep(copy, digest)
        return digest

    def _put_folder(self, path: Path) -> str:
        files = {}
        for entry in sorted(path.rglob("*")):
            if entry.is_symlink():
                raise InvalidInputError(f"{str(entry)!r} is a link; put a copy of what it points to in its place")
            if not entry.is_dir():
                name = entry.relative_to(path).as_posix()
                files[name] = self._put_file(entry, name)
        if not files:
            raise InvalidInputError(f"the folder {str(path)!r} has no file in it")
        with _workspace(self._path) as workspace:
            manifest = workspace / "manifest"
            manifest.write_text(json.dumps({"files": files}, sort_keys=True, ensure_ascii=True))
            copy = workspace / "copy"
            digest = _FOLDER + _copy(manifest, copy)
            self._keep(copy, digest)
        return digest

    def _keep(self, copy: Path, digest: str) -> None:
        """Move a finished copy to its place, unless its content is there already."""
        place = self._place(digest)
        if place.exists():
            self._verify(digest, _copy(place, None))
            return
        place.parent.mkdir(parents=True, exist_ok=True)
        copy.chmod(0o444)
        copy.rename(place)
        for folder in list(place.parents)[:4]:
            _sync_folder(folder)

    def _copy_file(self, digest: str, copy: Path) -> None:
        place = self._place(digest)
        if not place.exists():
            raise ArtifactNotFoundError(f"the store {str(self._path)!r} has nothing under the digest {digest}")
        self._verify(digest, _copy(place, copy))
        copy.chmod(0o644)

    def _copy_folder(self, digest: str, copy: Path) -> None:
        copy.mkdir()
        manifest = copy.with_name("manifest")
        self._copy_file(digest, manifest)
        for name, file_digest in json.loads(manifest.read_bytes())["files"].items():
            target = copy / PurePosixPath(name)
            target.parent.mkdir(parents=True, exist_ok=True)
            self._copy_file(file_digest, target)

    def _verify(self, digest: str, found: str) -> None:
        if found != digest.removeprefix(_FOLDER):
            raise CorruptedArtifactError(
                f"{str(self._place(digest))!r} holds other bytes (SHA-256 {found}) than were stored; "
                "restore it from a backup, or remove it and register the artifact again"
            )

    def _place(self, digest: str) -> Path:
        plain = digest.removeprefix(_FOLDER)
        if len(plain) != 64 or not set(plain) <= set("0123456789abcdef"):
            raise InvalidInputError(f"{digest!r} is not a digest of this store")
        # A folder's manifest has a name of its own, so that a file with the same bytes stays a file.
        return self._path / "sha256" / plain[:2] / plain[2:4] / digest


def _copy(source: Path, target: Path | None) -> str:
    """Copy `source` durably to `target`, if there is one, and return the SHA-256 of what was read."""
    digest = hashlib.sha256()
    with source.open("rb") as reader:
        if target is None:
            return hashlib.file_digest(reader, "sha256").hexdigest()
        with target.open("xb") as writer:
            for chunk in _chunks(reader):
                digest.update(chunk)
                writer.write(chunk)
            writer.flush()
            os.fsync(writer.fileno())
    return digest.hexdigest()


def _chunks(reader: BinaryIO) -> Iterator[bytes]:
    while chunk := reader.read(_CHUNK):
        yield chunk


def _sync_folder(folder: Path) -> None:
    """Make the names in a folder survive a loss of power."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def _workspace(parent: Path) -> Iterator[Path]:
    """A folder beside the goal, so that the last step is a rename; gone afterwards."""
    parent.mkdir(parents=True, exist_ok=True)
    workspace = Path(tempfile.mkdtemp(prefix=".tmp-", dir=parent))
    try:
        yield workspace
    finally:
        shutil.rmtree(workspace, ignore_errors=True)


@contextmanager
def _storage_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except StorageError:
        raise
    except OSError as error:
        place = str(error.filename or path)
        raise StorageError(f"cannot read or write {place!r}: {error.strerror or error}") from error
