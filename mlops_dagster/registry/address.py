"""Where a registry is: its database, its store of bytes, and the catalogue that shows it."""

from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

from mlops_dagster.database.engines import parse_url
from mlops_dagster.errors import InvalidInputError
from mlops_dagster.settings import Settings
from mlops_dagster.urls import shown_url

MLFLOW_PORT = 5000


class RegistryAddress(NamedTuple):
    """The parts of one registry."""

    database: str
    """URL of SQLAlchemy."""
    storage: str
    """A folder, or s3://bucket/prefix."""
    catalogue: str | None
    """Address (http://) of the MLflow server that shows every version as well."""
    trials: Path
    """Folder of this machine that remembers the trials of versions."""


def locate(uri: str | None, settings: Settings) -> RegistryAddress:
    """Where the registry at `uri` is; nothing, or the URI of an MLflow server, leaves the database to the settings.

    A SQLite file has its artifacts beside it, unless the settings name a store.
    Raises InvalidInputError for a URI that is not supported.

    >>> locate("mlflow://prod-server", Settings(home=Path("home"))).catalogue
    'http://prod-server:5000'
    """
    catalogue = settings.mlflow_url and mlflow_address(settings.mlflow_url)
    if uri is None:
        return RegistryAddress(settings.database, settings.storage, catalogue, settings.trials_path)
    if uri.startswith("mlflow:"):
        return RegistryAddress(settings.database, settings.storage, mlflow_address(uri), settings.trials_path)
    database = parse_url(uri)
    if database.drivername != "sqlite":
        return RegistryAddress(uri, settings.storage, catalogue, settings.trials_path)
    beside = Path(str(database.database)).parent
    return RegistryAddress(uri, settings.storage_url or str(beside / "artifacts"), catalogue, beside / "trials")


def mlflow_address(uri: str) -> str:
    """The address of a server: mlflow://host[:port], or http(s):// as it is. Raises InvalidInputError."""
    try:
        parts = urlsplit(uri)
        port, named = parts.port, bool(parts.hostname)
    except ValueError:
        named = False
    if not named or parts.scheme not in ("mlflow", "http", "https"):
        raise InvalidInputError(f"{shown_url(uri)!r} names no MLflow server; write mlflow://host or mlflow://host:port")
    if parts.scheme != "mlflow":
        return uri.rstrip("/")
    return f"http://{parts.netloc}" if port else f"http://{parts.netloc}:{MLFLOW_PORT}"


def public_address(address: str) -> str:
    """Without user, password and options: the name of a server, in messages and in the database.

    >>> public_address("http://ada:secret@mlflow.example:5000")
    'http://mlflow.example:5000'
    """
    parts = urlsplit(address)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2], query="", fragment="").geturl()
