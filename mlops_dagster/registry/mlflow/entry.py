"""What a catalogue shows of a version. Pure: the version in, texts that MLflow takes out."""

import hashlib
import posixpath
import re
from typing import NamedTuple

from mlops_dagster.documents.json_text import json_text
from mlops_dagster.registry.artifacts.keys import sha256_in
from mlops_dagster.registry.entities.entities import ModelVersion
from mlops_dagster.storage.addresses import is_s3

VERSION, DIGEST = "mlops.version", "mlops.digest"
"""The tags that an entry is found by."""

RUN = "mlflow_run"
"""Key in the lineage of a version: the MLflow run that its artifact came from."""

# MLflow 3 takes 100,000 characters of a tag, but MySQL beneath it 65,535 bytes, at up to four for each character.
TAG_LIMIT = 16_000
DESCRIPTION_LIMIT = 5_000
_KEY_LIMIT = 250
_KEY = re.compile(r"[/\w.\- :]+")
_RESERVED = ("mlops.", "mlflow.")  # ours, and what changes the meaning of an entry in MLflow
_RUN = re.compile(r"[0-9a-f]{32}")


class Entry(NamedTuple):
    """A version as MLflow shows it."""

    model: str
    source: str
    description: str
    run: str | None
    tags: dict[str, str]


def entry_of(version: ModelVersion, storage: str) -> Entry:
    """The entry of a version whose bytes are kept in `storage`."""
    run = str(version.lineage.get(RUN, ""))
    return Entry(
        version.model,
        source_of(version.digest, storage),
        _cut(version.description, DESCRIPTION_LIMIT),
        run if _RUN.fullmatch(run) else None,
        _tags(version),
    )


def source_of(digest: str, storage: str) -> str:
    """Where the bytes are: an S3 URL, or `mlops:/` for a folder on some machine, which MLflow must not read.

    >>> source_of("folder-" + "ab" * 32, "s3://bucket/models/")[:46]
    's3://bucket/models/sha256/ab/ab/folder-abababa'
    """
    root = storage.rstrip("/") if is_s3(storage) else "mlops:"
    sha256 = sha256_in(digest)
    return f"{root}/sha256/{sha256[:2]}/{sha256[2:4]}/{digest}"


def _tags(version: ModelVersion) -> dict[str, str]:
    """Names that MLflow does not take, or that mean something to it, are in `mlops.more`, as JSON."""
    metrics = {f"mlops.metrics.{name}": str(value) for name, value in version.metrics.items()}
    tags = {key: str(value) for key, value in version.tags.items()}  # they are kept as whatever JSON they were
    own = {VERSION: version.version, DIGEST: version.digest, "mlops.stage": version.stage.value}
    own |= {key: value for key, value in metrics.items() if _is_key(key)}
    theirs = {key: value for key, value in tags.items() if _is_key(key) and not key.startswith(_RESERVED)}
    more = {key: value for key, value in metrics.items() if key not in own}
    more |= {key: value for key, value in tags.items() if key not in theirs}
    if version.card is not None:
        own["mlops.card"] = version.card.model_dump_json()
    if more:
        own["mlops.more"] = json_text(more)
    return {key: _cut(value, TAG_LIMIT) for key, value in {**theirs, **own}.items()}


def _is_key(text: str) -> bool:
    return len(text) <= _KEY_LIMIT and _KEY.fullmatch(text) is not None and _is_plain_path(text)


def _is_plain_path(text: str) -> bool:
    """MLflow may keep a tag in a file of its name."""
    return posixpath.normpath(text) == text and text != "." and not text.startswith(("..", "/"))


def _cut(text: str, limit: int) -> str:
    """The text, or its beginning and how to tell the whole of it; without what UTF-8 or PostgreSQL has no place for."""
    text = text.encode(errors="replace").decode().replace("\0", "\ufffd")
    if len(text) <= limit:
        return text
    digest = hashlib.sha256(text.encode()).hexdigest()
    note = f" ... [cut: {len(text)} characters, SHA-256 {digest}; the registry has all of it]"
    return text[: limit - len(note)] + note
