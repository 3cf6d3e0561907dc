"""Detection of files that run code when loaded: pickle, joblib, arrays of objects, and archives of them."""

import bz2
import lzma
import struct
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path, PurePath
from typing import IO

from mlops_dagster.errors import UnsafeArtifactError
from mlops_dagster.registry.artifacts.old_pickle import is_old_pickle

_SUFFIXES = frozenset({".pkl", ".pickle", ".joblib", ".dill", ".cloudpickle", ".pt", ".pth"})
_PACKED = frozenset({".bz2", ".gz", ".lz4", ".lzma", ".tar", ".tgz", ".xz", ".z", ".zip", ".zst"})

# Every pickle since protocol 2 (2003) starts with the opcode PROTO.
_PROTO = 0x80
_PROTOCOLS = range(2, 6)

_ARRAY = b"\x93NUMPY"

# bzip2 needs a whole block (at most 900 kB) before it returns anything.
_HEAD = 1 << 20
_GZIP_OR_ZLIB = zlib.MAX_WBITS | 32
_UNPACKERS: tuple[Callable[[bytes], bytes], ...] = (
    lambda packed: zlib.decompressobj(_GZIP_OR_ZLIB).decompress(packed, 2),
    lambda packed: bz2.BZ2Decompressor().decompress(packed, 2),
    lambda packed: lzma.LZMADecompressor().decompress(packed, 2),
)

_DAMAGED = (zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, OSError, RuntimeError, ValueError, struct.error)
"""The errors of zipfile and its unpackers for damaged members, and for encrypted or otherwise packed ones."""


def refuse_unsafe(path: Path, name: str) -> None:
    """Raise UnsafeArtifactError if the file at `path`, called `name` by its owner, is a pickle by name or content."""
    reason = _reason(path, name)
    if reason:
        raise UnsafeArtifactError(
            f"{name} {reason}: loading it would run the code in it. Convert it: load it once where you trust "
            'it, and register the estimator itself, or the file that `skops.io.dump(model, "model.skops")` or skl2onnx '
            "writes of it. Or set MLOPS_ALLOW_UNSAFE_ARTIFACTS=true if you trust everyone who can write such files"
        )


def _reason(path: Path, name: str) -> str | None:
    if _named_unsafe(name):
        return "is a pickle by its name"
    if _begins_like_pickle(path):
        return "has the content of a pickle"
    if is_old_pickle(path):
        return "has the content of a pickle of protocol 0 or 1"
    with path.open("rb") as file:
        if _holds_objects(file):
            return "is an array of objects, which is a pickle"
    inside = _unsafe_member(path)
    return f"has the pickle {inside} in it" if inside else None


def _named_unsafe(name: str) -> bool:
    """Return whether the last suffix, except packers', is a pickle's: not so for `x.pt.onnx` and `x.pkl.dvc`."""
    suffixes = [suffix.lower() for suffix in PurePath(name).suffixes]
    while suffixes and suffixes[-1] in _PACKED:
        suffixes.pop()
    return bool(suffixes) and suffixes[-1] in _SUFFIXES


def _unsafe_member(path: Path) -> str | None:
    try:
        with zipfile.ZipFile(path) as archive:
            return next((name for name in archive.namelist() if _is_unsafe_member(archive, name)), None)
    except (zipfile.BadZipFile, NotImplementedError, ValueError, struct.error):  # not an archive that can be opened
        return None


def _is_unsafe_member(archive: zipfile.ZipFile, name: str) -> bool:
    """Return whether a member is a pickle by name or content; a damaged member is not, as it cannot be loaded."""
    if not name.endswith(".npy"):
        return _named_unsafe(name)
    try:
        with archive.open(name) as file:
            return _holds_objects(file)
    except _DAMAGED:
        return False


def _holds_objects(file: IO[bytes]) -> bool:
    """Return whether a .npy file has objects, by its header line after magic, version and length (numpy.lib.format)."""
    head = file.read(65536)
    return head.startswith(_ARRAY) and b"'|O'" in head[12:].partition(b"\n")[0]


def _begins_like_pickle(path: Path) -> bool:
    # joblib writes a pickle, compressed if asked to.
    with path.open("rb") as file:
        packed = file.read(_HEAD)
    heads = (packed, *(_unpacked(packed, unpack) for unpack in _UNPACKERS))
    return any(len(head) >= 2 and head[0] == _PROTO and head[1] in _PROTOCOLS for head in heads)


def _unpacked(packed: bytes, unpack: Callable[[bytes], bytes]) -> bytes:
    try:
        return unpack(packed)
    except (OSError, zlib.error, lzma.LZMAError):
        return b""
