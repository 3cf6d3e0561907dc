"""Files and folders in a store of blobs, each under the digest of its content."""

import json
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from mlops_dagster.errors import (
    ArtifactChangedError,
    ArtifactNotFoundError,
    CorruptedArtifactError,
    InvalidInputError,
)
from mlops_dagster.registry.artifacts.blobs import Blobs, StoredBlob
from mlops_dagster.registry.artifacts.keys import sha256_in
from mlops_dagster.registry.artifacts.unsafe import refuse_unsafe
from mlops_dagster.storage.disk import storage_errors

# A folder's manifest has its own kind of key, so that a file with the same bytes stays a file.
FOLDER = "folder-"


class ContentStore:
    """A store of files and folders under the digest of their content, which never changes.

    The digest of a file is its SHA-256. The digest of a folder is `folder-` and the SHA-256 of its manifest, which
    lists the digest of every file in it; empty folders, links and file modes are not part of it.
    """

    def __init__(self, blobs: Blobs, *, allow_unsafe: bool = False) -> None:
        self._blobs = blobs
        self._allow_unsafe = allow_unsafe

    def put(self, path: Path) -> str:
        """Copy the file or folder in, durably, and return its digest. Putting the same bytes again is free.

        Raises ArtifactNotFoundError, InvalidInputError (links and other special files), UnsafeArtifactError
        (pickle and its relatives), ArtifactChangedError (it changed while it was copied), CorruptedArtifactError
        (other bytes are kept under this digest), StorageError.
        """
        with storage_errors(path):
            if not path.exists():
                raise ArtifactNotFoundError(f"there is no artifact at {str(path)!r}")
            return self._put_folder(path) if path.is_dir() else self._put_file(path, path.name)

    def fetch(self, digest: str, destination: Path) -> Path:
        """Copy the content `digest` to `destination` and return that; it appears there only if every byte is right.

        Raises ArtifactNotFoundError, CorruptedArtifactError, InvalidInputError (destination in use) and StorageError.
        """
        if destination.is_dir() and (not digest.startswith(FOLDER) or any(destination.iterdir())):
            raise InvalidInputError(f"{str(destination)!r} is a folder already; name the path that the copy shall have")
        with storage_errors(destination), _workspace(destination.parent) as workspace:
            copy = workspace / "copy"
            if digest.startswith(FOLDER):
                self._fetch_folder(digest, copy)
            else:
                self._blobs.copy(digest, copy)
            return copy.rename(destination)

    def has(self, digest: str) -> bool:
        """Return whether content is kept under this digest; raises StorageError."""
        return self._blobs.has(digest)

    def files(self, digest: str) -> dict[str, str]:
        """Return the manifest of a folder: the digests of its files by name, in posix form.

        Raises ArtifactNotFoundError, CorruptedArtifactError, StorageError.
        """
        with tempfile.TemporaryDirectory() as folder:
            manifest = Path(folder, "manifest")
            self._blobs.copy(digest, manifest)
            return _read_manifest(digest, manifest)

    def blobs(self) -> Iterator[StoredBlob]:
        """Return an iterator over every blob in the store, in no particular order; raises StorageError."""
        return self._blobs.list()

    def remove(self, key: str) -> None:
        """Remove one blob; the caller must know that no version names it. Raises StorageError."""
        self._blobs.remove(key)

    def _put_file(self, file: Path, name: str) -> str:
        if not file.is_file():
            raise InvalidInputError(f"{str(file)!r} is neither a file nor a folder")
        if not self._allow_unsafe:
            refuse_unsafe(file, name)
        return self._blobs.add(file)

    def _put_folder(self, folder: Path) -> str:
        entries = _files_in(folder)
        files = {name: self._put_file(entry, name) for name, entry in entries.items()}
        if not files:
            raise InvalidInputError(f"the folder {str(folder)!r} has no file in it")
        if _files_in(folder) != entries:
            raise ArtifactChangedError(f"files came or went in {str(folder)!r} while it was copied; register it again")
        with tempfile.TemporaryDirectory() as workspace:
            manifest = Path(workspace, "manifest")
            manifest.write_text(json.dumps({"files": files}, sort_keys=True, ensure_ascii=True))
            return self._blobs.add(manifest, FOLDER)

    def _fetch_folder(self, digest: str, copy: Path) -> None:
        for name, file in self.files(digest).items():
            target = copy / PurePosixPath(name)
            target.parent.mkdir(parents=True, exist_ok=True)
            self._blobs.copy(file, target)


def _files_in(folder: Path) -> dict[str, Path]:
    files = {}
    for entry in sorted(folder.rglob("*")):
        if entry.is_symlink():
            raise InvalidInputError(f"{str(entry)!r} is a link; put a copy of the file that it points to in its place")
        if not entry.is_dir():
            files[entry.relative_to(folder).as_posix()] = entry
    return files


def _read_manifest(digest: str, manifest: Path) -> dict[str, str]:
    """Return the files in the manifest; its content is checked, as others may write to the store."""
    try:
        document: object = json.loads(manifest.read_bytes())
    except (ValueError, RecursionError) as error:
        raise CorruptedArtifactError(f"{digest} is not the manifest of a folder ({error})") from error
    match document:
        case {"files": {**files}} if files:
            return {str(name): _digest_of(digest, str(name), file) for name, file in files.items()}
        case _:
            raise CorruptedArtifactError(f"{digest} is not the manifest of a folder (it names no files)")


def _digest_of(digest: str, name: str, file: object) -> str:
    """Return `file`, the digest in a manifest of `name`; raises CorruptedArtifactError if either is invalid."""
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or not path.parts:
        raise CorruptedArtifactError(
            f"the manifest {digest} names {name!r:.200}, which lies outside of its folder; nothing was copied"
        )
    try:
        if "\0" in name or not isinstance(file, str):
            raise InvalidInputError("a NUL, or no text")
        name.encode()
        sha256_in(file)
    except (InvalidInputError, UnicodeEncodeError) as error:
        raise CorruptedArtifactError(
            f"the manifest {digest} has no file name with a digest of this store in {name!r:.200}; nothing was copied"
        ) from error
    return file


@contextmanager
def _workspace(parent: Path) -> Iterator[Path]:
    """Open a temporary folder in `parent`, so that moving its content to the goal is a rename; removed afterwards."""
    parent.mkdir(parents=True, exist_ok=True)
    workspace = Path(tempfile.mkdtemp(prefix=".tmp-", dir=parent))
    try:
        yield workspace
    finally:
        shutil.rmtree(workspace, ignore_errors=True)
