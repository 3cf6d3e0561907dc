"""Artifacts of MLflow: `runs:/RUN/path`, `models:/name/3`, `models:/name@alias` and `models:/m-...`.

Names are looked up by REST: MLflow's own look-up of `models:/` asks the server of the process (`set_registry_uri`),
whichever is passed to it. Its client then downloads from whatever store the server keeps its artifacts in.
"""

import re
from pathlib import Path
from typing import Any, NamedTuple

from mlops_dagster.errors import ArtifactNotFoundError, InvalidInputError, StorageError
from mlops_dagster.registry.catalogue.entry import DIGEST, RUN, VERSION
from mlops_dagster.registry.catalogue.mlflow import Json, MlflowServer, public_address

_RUN = re.compile(r"runs:/(?P<run>[^/]+)/(?P<path>.+)")
_VERSION = re.compile(
    r"models:/(?P<name>[^/@]+)(?:/(?P<number>\d+)|/(?P<latest>latest)|@(?P<alias>[^/]+))(?P<path>/.+)?"
)
_LOGGED = re.compile(r"models:/(?P<id>m-[^/]+)(?P<path>/.+)?")

SECONDS = 30.0
"""The longest that looking up a name may take."""


class Pinned(NamedTuple):
    """An artifact under a name that does not move."""

    uri: str
    place: str
    """Where MLflow's client finds it."""
    run: str

    @property
    def lineage(self) -> dict[str, str]:
        return {"mlflow_uri": self.uri, **({RUN: self.run} if self.run else {})}


def pin(uri: str, catalogue: str | None) -> Pinned:
    """What a URI of MLflow names now: an alias and `latest` move.

    Raises ArtifactNotFoundError, ServerError, and InvalidInputError if there is no server to ask, for another kind of
    URI, and for what this registry shows there itself.
    """
    if catalogue is None:
        raise InvalidInputError(
            f"no MLflow server to ask for {uri!r}; set MLOPS_MLFLOW_URL=mlflow://host:port or open the registry with it"
        )
    with MlflowServer(catalogue, SECONDS) as server:
        if match := _RUN.fullmatch(uri):
            return _run(server, uri, match["run"])
        if match := _VERSION.fullmatch(uri):
            return _version(server, uri, match)
        if match := _LOGGED.fullmatch(uri):
            return _logged(server, uri, match["id"], match["path"] or "")
    raise InvalidInputError(
        f"{uri!r} names no artifact of MLflow; write runs:/RUN/path, models:/name/3, models:/name@alias or models:/m-..."
    )


def download(uri: str, catalogue: str | None, folder: Path) -> Path:
    """A copy in `folder` of the artifact at `uri`. Raises as `pin` does, and StorageError."""
    place = pin(uri, catalogue).place
    from mlflow.artifacts import download_artifacts
    from mlflow.exceptions import MlflowException
    from requests import RequestException

    try:
        return Path(
            download_artifacts(artifact_uri=place, dst_path=str(folder), tracking_uri=catalogue, registry_uri=catalogue)
        )
    except (MlflowException, RequestException, OSError) as error:
        reason = str(error).strip() or type(error).__name__
        raise StorageError(f"MLflow could not download {uri!r} from {public_address(place)} ({reason})") from error


def _run(server: MlflowServer, uri: str, run: str) -> Pinned:
    _found(server.find("runs/get", run_id=run), server, uri)
    return Pinned(uri, uri, run)


def _version(server: MlflowServer, uri: str, match: re.Match[str]) -> Pinned:
    name, alias = match["name"], match["alias"] or match["latest"]
    if alias:
        answer = server.find("registered-models/alias", name=name, alias=alias)
    else:
        answer = server.find("model-versions/get", name=name, version=match["number"])
    version = _found(answer, server, uri)["model_version"]
    tags = {tag["key"]: tag.get("value") for tag in version.get("tags", [])}
    if DIGEST in tags:
        raise InvalidInputError(
            f"{uri!r} is {name} {tags.get(VERSION)} of a registry, shown in MLflow; use `fetch` there"
        )
    path, number = match["path"] or "", version["version"]
    stored = _found(server.find("model-versions/get-download-uri", name=name, version=number), server, uri)
    return Pinned(
        f"models:/{name}/{number}{path}", stored["artifact_uri"].rstrip("/") + path, version.get("run_id", "")
    )


def _logged(server: MlflowServer, uri: str, model: str, path: str) -> Pinned:
    info: dict[str, Any] = _found(server.find(f"logged-models/{model}"), server, uri)["model"]["info"]
    return Pinned(uri, info["artifact_uri"].rstrip("/") + path, info.get("source_run_id", ""))


def _found(answer: Json | None, server: MlflowServer, uri: str) -> Json:
    if answer is None:
        raise ArtifactNotFoundError(f"the MLflow server {server.name} has no {uri!r}")
    return answer
