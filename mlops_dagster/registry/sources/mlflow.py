"""Artifacts of MLflow: `runs:/RUN/path`, `models:/name/3`, `models:/name@alias` and `models:/m-...`.

Names are resolved by REST: MLflow's own resolver asks the server set for the process (`set_tracking_uri`, or a new
file `mlflow.db`), even if it is passed another one. MLflow's client then downloads from the store behind that name.
"""

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from mlops_dagster.errors import ArtifactNotFoundError, InvalidInputError, StorageError
from mlops_dagster.extras import require
from mlops_dagster.registry.address import public_address
from mlops_dagster.registry.estimators import Estimator
from mlops_dagster.registry.mlflow.entry import DIGEST, RUN, VERSION

if TYPE_CHECKING:
    from mlops_dagster.registry.mlflow.server import Json, MlflowServer

_RUN = re.compile(r"runs:/(?P<run>[^/]+)/(?P<path>.+)")
_VERSION = re.compile(
    r"models:/(?P<name>[^/@]+)(?:/(?P<number>\d+)|/(?P<latest>latest)|@(?P<alias>[^/]+))(?P<path>/.+)?"
)
_LOGGED = re.compile(r"models:/(?P<id>m-[^/]+)(?P<path>/.+)?")

Artifact = str | os.PathLike[str] | Estimator

SECONDS = 30.0
"""The longest time, in seconds, that resolving a name may take."""


class Pinned(NamedTuple):
    """An artifact under a URI that always names the same bytes."""

    uri: str
    place: str
    """The URL from which MLflow's client downloads it."""
    run: str


def pin(artifact: Artifact, catalogue: str | None) -> tuple[Artifact, dict[str, str]]:
    """Return the artifact with an alias or `latest` replaced by a fixed version, and its lineage.

    An artifact that is not MLflow's is returned as it is. Raises ArtifactNotFoundError, ServerError, and
    InvalidInputError if no server is configured, for another kind of URI, and for a version shown by a registry.
    """
    if not isinstance(artifact, str) or not artifact.startswith(("runs:/", "models:/")):
        return artifact, {}
    pinned = _look_up(artifact, catalogue)
    return pinned.uri, {"mlflow_uri": pinned.uri, **({RUN: pinned.run} if pinned.run else {})}


def download(uri: str, catalogue: str | None, folder: Path) -> Path:
    """Download the artifact at `uri` into `folder` and return its path. Raises as `pin` does, and StorageError."""
    place = _look_up(uri, catalogue).place
    from mlflow.artifacts import download_artifacts
    from mlflow.exceptions import MlflowException
    from requests import RequestException

    try:
        return Path(
            download_artifacts(artifact_uri=place, dst_path=str(folder), tracking_uri=catalogue, registry_uri=catalogue)
        )
    except (MlflowException, RequestException, OSError) as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        if "404 Client Error" in reason or isinstance(error, FileNotFoundError):
            raise ArtifactNotFoundError(
                f"there is no artifact at {uri!r}; its run or model has no such path"
            ) from error
        raise StorageError(f"MLflow could not download {uri!r} from {public_address(place)} ({reason})") from error


def _look_up(uri: str, catalogue: str | None) -> Pinned:
    if catalogue is None:
        raise InvalidInputError(
            f"no MLflow server to ask for {uri!r}; set MLOPS_MLFLOW_URL=mlflow://host:port or open the registry with it"
        )
    require("mlflow", f"{uri!r}")
    from mlops_dagster.registry.mlflow.server import MlflowServer

    with MlflowServer(catalogue, SECONDS) as server:
        if match := _RUN.fullmatch(uri):
            return _run(server, uri, match["run"], match["path"].rstrip("/"))
        if match := _VERSION.fullmatch(uri):
            return _version(server, uri, match)
        if match := _LOGGED.fullmatch(uri):
            return _logged(server, uri, match["id"], match["path"] or "")
    raise InvalidInputError(
        f"{uri!r} names no artifact of MLflow; write runs:/RUN/path, models:/name/3, models:/name@alias "
        "or models:/m-..."
    )


def _run(server: "MlflowServer", uri: str, run: str, path: str) -> Pinned:
    """Return a model that the run logged under this name (MLflow 3 stores it apart), else a file or folder of it."""
    info = _found(server.find("runs/get", run_id=run), server, uri)["run"]["info"]
    name, slash, rest = path.partition("/")
    for model in server.logged_models(info["experiment_id"], run, name):
        return Pinned(uri, f"{model['info']['artifact_uri'].rstrip('/')}{slash}{rest}", run)
    return Pinned(uri, f"{info['artifact_uri'].rstrip('/')}/{path}", run)


def _version(server: "MlflowServer", uri: str, match: re.Match[str]) -> Pinned:
    name, number = match["name"], match["number"]
    if match["alias"]:
        number = _found(server.aliases(name), server, uri).get(match["alias"], 0)
    if match["latest"]:  # MLflow keeps this alias itself, and does not list it
        answer = server.find("registered-models/alias", name=name, alias="latest")
    else:
        answer = server.find("model-versions/get", name=name, version=str(number))
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


def _logged(server: "MlflowServer", uri: str, model: str, path: str) -> Pinned:
    info: dict[str, Any] = _found(server.find(f"logged-models/{model}"), server, uri)["model"]["info"]
    return Pinned(uri, info["artifact_uri"].rstrip("/") + path, info.get("source_run_id", ""))


def _found(answer: "Json | None", server: "MlflowServer", uri: str) -> "Json":
    if answer is None:
        raise ArtifactNotFoundError(f"the MLflow server {server.name} has no {uri!r}")
    return answer
