"""Which files a registry's URI and settings stand for, and which path an artifact's does."""

import os
import re
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit
from urllib.request import url2pathname

from sqlalchemy import make_url
from sqlalchemy.exc import ArgumentError

from mlops_dagster.errors import InvalidInputError
from mlops_dagster.settings import Settings

_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:/")


class Place(NamedTuple):
    """The files of one registry."""

    database: Path
    artifacts: Path
    allow_unsafe: bool


def locate(uri: str | None, settings: Settings | None) -> Place:
    """Where the registry is, its folder made; a URI without settings has its artifacts beside its database.

    Raises InvalidInputError for a URI that is not supported, HomeNotWritableError.
    """
    given = settings or Settings()
    if uri is None:
        given.writable_home()
        return Place(given.database_path, given.artifacts_path, given.allow_unsafe_artifacts)
    database = _sqlite_path(uri)
    beside = given.model_copy(update={"home": database.parent})
    beside.writable_home()
    return Place(database, (settings or beside).artifacts_path, given.allow_unsafe_artifacts)


def local_path(artifact: str | os.PathLike[str]) -> Path:
    """The path an artifact's URI stands for; raises InvalidInputError for a scheme that is not supported."""
    text = os.fspath(artifact)
    if not _SCHEME.match(text):
        return Path(text)
    parts = urlsplit(text)
    if parts.scheme != "file" or parts.netloc not in ("", "localhost"):
        raise InvalidInputError(
            f"cannot read an artifact from {text!r}; register a local path, a file:// URI or an estimator object"
        )
    return Path(url2pathname(parts.path))


def _sqlite_path(uri: str) -> Path:
    try:
        url = make_url(uri)
    except ArgumentError:
        url = None
    if url is None or url.drivername != "sqlite" or not url.database or url.database == ":memory:" or url.query:
        raise InvalidInputError(f"no registry can be kept at {uri!r}; use sqlite:///path, or nothing for MLOPS_HOME")
    return Path(url.database)
