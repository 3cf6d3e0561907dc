"""Telling files that run code when they are loaded: pickle, joblib, and archives of them."""

import bz2
import gzip
import lzma
import zipfile
import zlib
from pathlib import Path, PurePath
from types import ModuleType

from mlops_dagster.errors import UnsafeArtifactError

_SUFFIXES = frozenset({".pkl", ".pickle", ".joblib", ".dill", ".cloudpickle", ".pt", ".pth"})

# Every pickle since protocol 2 (2003) starts with the opcode PROTO; the older protocols are known by suffix only.
_PROTO = 0x80
_PROTOCOLS = range(2, 6)


def refuse_unsafe(path: Path, name: str) -> None:
    """Raise UnsafeArtifactError if the file at `path`, called `name` by its owner, is a pickle by name or content."""
    reason = _reason(path, name)
    if reason:
        raise UnsafeArtifactError(
            f"{name} {reason}: loading it would run whatever code it holds; save the model with skops "
            "(register accepts the estimator itself), or set MLOPS_ALLOW_UNSAFE_ARTIFACTS=true if you trust it"
        )


def _reason(path: Path, name: str) -> str | None:
    if _named_unsafe(name):
        return "is a pickle by its name"
    if _begins_like_pickle(path):
        return "has the content of a pickle"
    inside = next(filter(_named_unsafe, _names_inside(path)), None)
    return f"has the pickle {inside} in it" if inside else None


def _named_unsafe(name: str) -> bool:
    return any(suffix.lower() in _SUFFIXES for suffix in PurePath(name).suffixes)


def _names_inside(path: Path) -> list[str]:
    try:
        with zipfile.ZipFile(path) as archive:
            return archive.namelist()
    except zipfile.BadZipFile:
        return []


def _begins_like_pickle(path: Path) -> bool:
    # joblib writes a pickle, compressed if asked to.
    heads = (_plain(path), _zlib(path), *(_opened(path, opener) for opener in (gzip, bz2, lzma)))
    return any(len(head) == 2 and head[0] == _PROTO and head[1] in _PROTOCOLS for head in heads)


def _plain(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(2)


def _zlib(path: Path) -> bytes:
    with path.open("rb") as file:
        try:
            return zlib.decompressobj().decompress(file.read(4096), 2)
        except zlib.error:
            return b""


def _opened(path: Path, opener: ModuleType) -> bytes:
    try:
        with opener.open(path, "rb") as file:
            head: bytes = file.read(2)
            return head
    except (OSError, EOFError, zlib.error, lzma.LZMAError):
        return b""
