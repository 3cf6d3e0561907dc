"""The address of a registry: its database, its content store, and the MLflow server that shows its versions."""

from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

from mlops_dagster.database.engines import parse_url
from mlops_dagster.errors import InvalidInputError
from mlops_dagster.settings import Settings
from mlops_dagster.urls import shown_url

MLFLOW_PORT = 5000


class RegistryAddress(NamedTuple):
    """The parts of a registry's address."""

    database: str
    """SQLAlchemy URL of the database."""
    storage: str
    """Folder or s3://bucket/prefix of the content store."""
    catalogue: str | None
    """Address (http://) of the MLflow server that shows every version too; None without one."""
    trials: Path
    """Folder on this machine that keeps the results of trials of versions."""


def locate(uri: str | None, settings: Settings) -> RegistryAddress:
    """Return the address of the registry at `uri`; None or an MLflow server's URI takes the database of the settings.

    The artifacts of a SQLite database are in the folder of its file, unless the settings name a content store.
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
    """Return the http(s) address of the server at `uri`: mlflow://host[:port] or http(s). Raises InvalidInputError."""
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
    """Return `address` without user, password and query: a server's name for messages and for the database.

    >>> public_address("http://ada:secret@mlflow.example:5000")
    'http://mlflow.example:5000'
    """
    parts = urlsplit(address)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2], query="", fragment="").geturl()
