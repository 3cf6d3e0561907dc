"""Where a version comes from: the code, the Python and the packages of the process that made it."""

import functools
import platform
import re
import subprocess
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path

ENVIRONMENT = "environment"
"""The lineage's key for the digest of the environment lock, which is kept as the artifacts are."""

_SHA256 = re.compile(r"[0-9a-f]{64}")


def code_lineage(folder: Path) -> dict[str, str]:
    """`python`, and if `folder` is in a git repository its `commit` and whether it is `dirty`: "true" or "false"."""
    return {"python": platform.python_version(), **_commit(folder)}


@functools.cache
def environment_lock() -> str:
    """Every distribution that is installed, as sorted lines of `name==version`; looked up once in a process."""
    found: dict[str, str] = {}
    for distribution in metadata.distributions():
        name: str | None = distribution.metadata["Name"]  # a broken installation has none
        if name is not None:
            # The first one on the path is the one that is imported. PEP 503 says when two names are the same.
            found.setdefault(re.sub(r"[-_.]+", "-", name).lower(), distribution.version)
    return "".join(sorted(f"{name}=={version}\n" for name, version in found.items()))


def environment_digest(lineage: Mapping[str, str]) -> str | None:
    """Where the environment lock is kept; None if the lineage names none that the registry made."""
    named = lineage.get(ENVIRONMENT, "")
    return named if _SHA256.fullmatch(named) else None


def digests_of(artifact: str, lineage: Mapping[str, str]) -> frozenset[str]:
    """What a version with this artifact and lineage needs in the content store.

    >>> digests_of("ab" * 32, {"run": "r1"}) == {"ab" * 32}
    True
    """
    return frozenset(digest for digest in (artifact, environment_digest(lineage)) if digest is not None)


def _commit(folder: Path) -> dict[str, str]:
    command = ("git", "--no-optional-locks", "status", "--porcelain=v2", "--branch")
    try:
        found = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=10, check=True)  # noqa: S603
    except (OSError, subprocess.SubprocessError, UnicodeDecodeError):  # no git, no repository, or none of ours
        return {}
    head = re.search(r"^# branch\.oid ([0-9a-f]+)$", found.stdout, re.MULTILINE)
    if head is None:  # nothing is committed yet
        return {}
    changes = any(not line.startswith("#") for line in found.stdout.splitlines())
    return {"commit": head[1], "dirty": str(changes).lower()}
