"""Access to an artifact in any supported place as a local file or folder."""

import os
import re
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit
from urllib.request import url2pathname

from mlops_dagster.errors import InvalidInputError
from mlops_dagster.registry import estimators
from mlops_dagster.registry.estimators import Estimator
from mlops_dagster.registry.sources import mlflow as mlflow_source
from mlops_dagster.registry.sources import s3 as s3_source
from mlops_dagster.tasks import Task
from mlops_dagster.urls import shown_url

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client

_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:/")


@contextmanager
def open_source(
    artifact: str | os.PathLike[str] | Estimator,
    catalogue: str | None,
    s3: "S3Client | None",
    own_types: Sequence[str],
    task: type[Task],
) -> Iterator[Path]:
    """Open the artifact as a path that is valid inside the `with` block: its own path if it is local, else a copy.

    An estimator may hold `own_types` too. Raises ArtifactNotFoundError, StorageError, UnsafeArtifactError, and
    InvalidInputError for a scheme that is not supported and for an object that is not a fitted estimator for `task`.
    """
    if not isinstance(artifact, str | os.PathLike):
        task.check_estimator(artifact, fitted=True)
        with tempfile.TemporaryDirectory() as folder:
            yield estimators.save(artifact, Path(folder, "model.skops"), own_types)
        return
    uri = os.fspath(artifact)
    if not uri:
        raise InvalidInputError("the artifact is an empty path; give the path of a file or folder, '.' for this folder")
    if not _SCHEME.match(uri):
        yield Path(uri)
        return
    match urlsplit(uri).scheme:
        case "file":
            yield _local(uri)
        case "s3":
            with tempfile.TemporaryDirectory() as folder:
                yield s3_source.download(uri, Path(folder), s3)
        case "runs" | "models":
            with tempfile.TemporaryDirectory() as folder:
                yield mlflow_source.download(uri, catalogue, Path(folder))
        case _:
            raise InvalidInputError(
                f"cannot read an artifact from {shown_url(uri)!r}; register a local path, a file:// or s3:// URL, "
                "runs:/ or models:/ of MLflow, or an estimator object"
            )


def _local(uri: str) -> Path:
    parts = urlsplit(uri)
    if parts.netloc not in ("", "localhost"):
        raise InvalidInputError(f"{shown_url(uri)!r} is on another machine; register a path on this one")
    if parts.query or parts.fragment:
        raise InvalidInputError(
            f"{shown_url(uri)!r} has a '?' or '#' as it stands; write %3F and %23, or the path without file://"
        )
    return Path(url2pathname(parts.path))
