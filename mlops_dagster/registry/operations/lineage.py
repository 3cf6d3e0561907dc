"""The lineage of a version: the code, the Python and the packages of the process that made it."""

import functools
import platform
import re
import subprocess
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path

ENVIRONMENT = "environment"
"""The lineage's key for the digest of the environment lock, which is in the content store."""

_SHA256 = re.compile(r"[0-9a-f]{64}")


def code_lineage(folder: Path) -> dict[str, str]:
    """Return `python`, and `commit` and `dirty` ("true" or "false") if `folder` is in a git repository."""
    return {"python": platform.python_version(), **_commit(folder)}


@functools.cache
def environment_lock() -> str:
    """Return each installed distribution as a sorted line `name==version`; computed once in a process."""
    found: dict[str, str] = {}
    for distribution in metadata.distributions():
        name: str | None = distribution.metadata["Name"]  # None in a broken installation
        if name is not None:
            # The first one on the path is the one that is imported. Names are compared as PEP 503 normalizes them.
            found.setdefault(re.sub(r"[-_.]+", "-", name).lower(), distribution.version)
    return "".join(sorted(f"{name}=={version}\n" for name, version in found.items()))


def environment_digest(lineage: Mapping[str, str]) -> str | None:
    """Return the digest of the environment lock; None if the lineage names none made by the registry."""
    named = lineage.get(ENVIRONMENT, "")
    return named if _SHA256.fullmatch(named) else None


def digests_of(artifact: str, lineage: Mapping[str, str]) -> frozenset[str]:
    """Return the digests of the content store that a version with this artifact and lineage needs.

    >>> digests_of("ab" * 32, {"run": "r1"}) == {"ab" * 32}
    True
    """
    return frozenset(digest for digest in (artifact, environment_digest(lineage)) if digest is not None)


def _commit(folder: Path) -> dict[str, str]:
    command = ("git", "--no-optional-locks", "status", "--porcelain=v2", "--branch")
    try:
        found = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=10, check=True)  # noqa: S603
    except (OSError, subprocess.SubprocessError, UnicodeDecodeError):  # no git, no repository, or another user's
        return {}
    head = re.search(r"^# branch\.oid ([0-9a-f]+)$", found.stdout, re.MULTILINE)
    if head is None:  # nothing is committed yet
        return {}
    changes = any(not line.startswith("#") for line in found.stdout.splitlines())
    return {"commit": head[1], "dirty": str(changes).lower()}
