"""The MLflow entry of a version. Pure: takes a version, returns texts that MLflow accepts."""

import hashlib
import posixpath
import re
from typing import NamedTuple

from mlops_dagster.documents.json_text import json_text
from mlops_dagster.registry.artifacts.keys import sha256_in
from mlops_dagster.registry.entities.entities import ModelVersion
from mlops_dagster.storage.addresses import is_s3

VERSION, DIGEST = "mlops.version", "mlops.digest"
"""The tags by which the entry of a version is found."""

RUN = "mlflow_run"
"""Key in the lineage of a version: the MLflow run that its artifact came from."""

# MLflow 3 accepts tags of 100,000 characters, but MySQL below it only 65,535 bytes, at up to four a character.
TAG_LIMIT = 16_000
DESCRIPTION_LIMIT = 5_000
_KEY_LIMIT = 250
_KEY = re.compile(r"[/\w.\- :]+")
_RESERVED = ("mlops.", "mlflow.")  # our own prefix, and the one of tags that change the meaning of an entry in MLflow
_RUN = re.compile(r"[0-9a-f]{32}")


class Entry(NamedTuple):
    """The entry of one version in MLflow."""

    model: str
    source: str
    description: str
    run: str | None
    tags: dict[str, str]


def entry_of(version: ModelVersion, storage: str) -> Entry:
    """Return the entry of a version whose bytes are kept in `storage`."""
    run = str(version.lineage.get(RUN, ""))
    return Entry(
        version.model,
        source_of(version.digest, storage),
        _cut(version.description, DESCRIPTION_LIMIT),
        run if _RUN.fullmatch(run) else None,
        _tags(version),
    )


def source_of(digest: str, storage: str) -> str:
    """Return the source of an entry: an S3 URL, or `mlops:/...` for a folder on a machine, which MLflow must not read.

    >>> source_of("folder-" + "ab" * 32, "s3://bucket/models/")[:46]
    's3://bucket/models/sha256/ab/ab/folder-abababa'
    """
    root = storage.rstrip("/") if is_s3(storage) else "mlops:"
    sha256 = sha256_in(digest)
    return f"{root}/sha256/{sha256[:2]}/{sha256[2:4]}/{digest}"


def _tags(version: ModelVersion) -> dict[str, str]:
    """Return the tags of the entry; names that MLflow refuses or reserves go into the tag `mlops.more`, as JSON."""
    metrics = {f"mlops.metrics.{name}": str(value) for name, value in version.metrics.items()}
    tags = {key: str(value) for key, value in version.tags.items()}  # a stored tag may be any JSON value
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
    """Return whether `text` is safe as a file name: MLflow may keep a tag in a file named after it."""
    return posixpath.normpath(text) == text and text != "." and not text.startswith(("..", "/"))


def _cut(text: str, limit: int) -> str:
    """Return `text` without NUL and surrogates; above `limit` it is cut, with length and SHA-256 of the whole."""
    text = text.encode(errors="replace").decode().replace("\0", "\ufffd")
    if len(text) <= limit:
        return text
    digest = hashlib.sha256(text.encode()).hexdigest()
    note = f" ... [cut: {len(text)} characters, SHA-256 {digest}; the registry has all of it]"
    return text[: limit - len(note)] + note
