"""The only reader of the environment: `MLOPS_*` variables, with their defaults."""

import re
import socket
from datetime import date
from pathlib import Path
from typing import Literal

from pydantic import Field, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from mlops_dagster.documents.strict import exact_integers
from mlops_dagster.urls import shown_url

_PAGE = re.compile(r"https?://[^\s@/?#]+(/[^\s@?#]*)?", re.IGNORECASE)

_TYPE = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)+")


class Settings(BaseSettings):
    """The settings that an operator may make, read from `MLOPS_*` variables.

    >>> Settings(home=Path("/tmp/x")).database
    'sqlite:////tmp/x/mlops.sqlite'
    """

    model_config = SettingsConfigDict(env_prefix="MLOPS_", frozen=True, allow_inf_nan=False)

    _exact = field_validator("*")(exact_integers)

    home: Path = Field(default=Path(".mlops"), description="holds everything of the embedded default")
    name: str = Field(
        default_factory=socket.gethostname,
        min_length=1,
        max_length=100,
        description="name of this installation in alerts, equal on all of its machines; else the host's name",
    )
    database_url: str | None = Field(
        default=None,
        repr=False,  # it may hold a password
        description="postgresql://user@host/database for registry, rollouts and rollups; else files in the home",
    )
    storage_url: str | None = Field(
        default=None, repr=False, description="s3://bucket/prefix for artifacts; else the home"
    )
    log_url: str | None = Field(
        default=None, repr=False, description="s3://bucket/prefix for the prediction log; else the home"
    )
    engine: str | None = Field(
        default=None,
        repr=False,  # it may hold a token
        description="sc://host:port of a Spark Connect server that runs the heavy statements over the log; else DuckDB "
        "in each process",
    )
    mlflow_url: str | None = Field(
        default=None, repr=False, description="mlflow://host:port, a server that shows every version as well"
    )
    dagster_url: str | None = Field(
        default=None,
        description="where people open Dagster's UI, https://dagster.example.com: pages and commands link to it",
    )
    board_url: str | None = Field(default=None, description="where people open the control room: alerts link to it")
    grafana_url: str | None = Field(
        default=None,
        description="where people open Grafana with the dashboards of deploy/grafana: figures and drawings of the "
        "control room link to them",
    )
    docs_url: str | None = Field(
        default=None, description="where this documentation is published; alerts and rules link its runbooks"
    )
    heartbeat_url: str | None = Field(
        default=None,
        repr=False,  # whoever has it can feign signs of life
        description="an address of an outside watcher (http or https) that is fetched after each good look at all "
        "models; it tells people when this stops",
    )
    channels: Path | None = Field(
        default=None, description="YAML with the channels that alerts are told by; without it, alerts are only listed"
    )
    signing_key: Path | None = Field(default=None, description="private key (PEM) that signs registered versions")
    trusted_key: Path | None = Field(
        default=None, description="public key (PEM) that must have signed every loaded version"
    )
    workers: int = Field(default=1, ge=1, le=64, description="processes of the data plane that answer requests")
    hang_seconds: float = Field(
        default=30.0,
        gt=0,
        le=86_400,
        description="a process of the data plane that gives no sign of life for so long is replaced",
    )
    drain_seconds: float = Field(
        default=20.0,
        ge=0,
        le=86_400,
        description="how long the data plane, asked to end, waits for the requests under way",
    )
    host: str = Field(default="127.0.0.1", description="address the data plane listens on")
    port: int = Field(default=8080, ge=0, le=65535, description="port the data plane listens on; 0 picks a free one")
    board_host: str = Field(default="127.0.0.1", description="address the control room listens on")
    board_port: int = Field(
        default=8081, ge=0, le=65535, description="port the control room listens on; 0 picks a free one"
    )
    fuse: bool = Field(
        default=True,
        description="the data plane itself takes a version out that is proven bad; otherwise the orchestrator does",
    )
    durability: Literal["process", "disk"] = Field(
        default="process", description="an answer survives the death of the process, or the loss of power too"
    )
    predict_timeout: float = Field(
        default=10.0,
        gt=0,
        le=86_400,
        description="seconds after which a batch that a model is still scoring has failed",
    )
    label_days: int = Field(
        default=60, ge=1, description="days for which the label of a prediction is awaited; a later one is refused"
    )
    trial_seconds: float = Field(
        default=60.0, gt=0, description="how long a version may take to be loaded and tried before it serves"
    )
    trial_memory_mb: int = Field(
        default=2048, gt=0, description="most memory, in MB, that a version may need to be loaded and tried"
    )
    max_body_bytes: int = Field(
        default=16 * 1024**2,
        gt=0,
        le=2**40,
        description="largest body of a request, as sent and uncompressed; else 413",
    )
    max_rows: int = Field(
        default=10_000, gt=0, le=10**9, description="most rows of an infer request, and labels of a feedback"
    )
    head_seconds: float = Field(
        default=10.0,
        gt=0,
        le=86_400,
        description="time for the head of a request to arrive, from its first byte on; else 408",
    )
    body_seconds: float = Field(
        default=30.0,
        gt=0,
        le=86_400,
        description="time for the body of a request to arrive, else 408; and for an answer to be taken",
    )
    idle_seconds: float = Field(
        default=620.0,
        gt=0,
        le=86_400,
        description="how long a connection without a request is kept; to be longer than the proxies before it keep one",
    )
    max_connections: int = Field(
        default=4096, gt=0, description="most connections of a worker; fewer where the limit of descriptors says so"
    )
    max_unfinished_bytes: int = Field(
        default=256 * 1024**2,
        gt=0,
        description="most bytes of bodies that have not arrived whole, and of answers that are not taken, in a worker",
    )
    allowed_hosts: str = Field(
        default="",
        description="names, parted by commas, by which callers without tokens reach the data plane and the control "
        "room, in addition to their addresses",
    )
    allow_anonymous: bool = Field(
        default=False, description="serve without tokens on any address; else without tokens on loopback only"
    )
    partitions_start: date | None = Field(
        default=None, description="first day to report on, where partitions begin; else the one that the project names"
    )
    partitions_end: date | None = Field(
        default=None, description="day after the last, for recorded traffic; else they go on"
    )
    max_retrainings: int = Field(
        default=2,
        ge=1,
        le=1000,
        description="most retrainings of all models that run or wait in Dagster's queue at a time",
    )
    run_days: int = Field(
        default=45,
        ge=32,
        description="days for which Dagster's finished runs are kept, with their events; reports that are missing are "
        "made for 31 days back",
    )
    report_runs: int = Field(
        default=1,
        ge=1,
        le=1000,
        description="runs that the reports of all models are spread over, for several machines; each loads everything",
    )
    accept_event_time: bool = Field(
        default=False, description="every request says when it happened; for replayed traffic, never for the public"
    )
    report_rows: int = Field(
        default=2_000,
        ge=0,
        le=10**9,
        description="rows that an Evidently report is drawn from; 0 draws none, which saves seconds",
    )
    allow_unsafe_artifacts: bool = Field(default=False, description="register pickle and joblib files all the same")
    trusted_types: str = Field(
        default="",
        description="own types that model files may hold, dotted names parted by commas: loading runs their code",
    )

    @field_validator("dagster_url", "grafana_url", "docs_url", "board_url")
    @classmethod
    def _is_opened_in_browsers(cls, url: str | None) -> str | None:
        if url is not None and not _PAGE.fullmatch(url):
            raise ValueError(
                f"{shown_url(url)!r} is not an address that a browser opens without a password in it, such as "
                "https://dagster.example.com"
            )
        return None if url is None else url.rstrip("/")

    @field_validator("trusted_types")
    @classmethod
    def _names_types(cls, listed: str) -> str:
        odd = [name for name in _listed(listed) if not _TYPE.fullmatch(name)]
        if odd:
            raise ValueError(f"{', '.join(odd)} is not a dotted name of a type, such as ours.transformers.Clip")
        return listed

    @property
    def own_types(self) -> tuple[str, ...]:
        """Dotted names of the operator's types that model files may hold."""
        return _listed(self.trusted_types)

    @property
    def database(self) -> str:
        """The URL of the database of registry, rollouts and their audit trail."""
        return self.database_url or f"sqlite:///{self.home / 'mlops.sqlite'}"

    @property
    def local_rollups(self) -> str:
        """The URL of the rollups of this machine, in a separate file because they are written every second."""
        return f"sqlite:///{self.local_rollups_path}"

    @property
    def local_rollups_path(self) -> Path:
        """The file of this machine's rollups; counts that are lost with it are counted again from the log."""
        return self.home / "rollups.sqlite"

    @property
    def shared_rollups(self) -> str | None:
        """The URL of the rollups of all machines; None unless they share a PostgreSQL database."""
        return None if self.database.startswith("sqlite") else self.database

    @property
    def spool_path(self) -> Path:
        """The file of the spool: predictions and labels on their way to the log."""
        return self.home / "spool.sqlite"

    @property
    def label_outbox_path(self) -> Path:
        """The file of labels that wait for the shared database to come back."""
        return self.home / "spool.labels.sqlite"

    @property
    def asked_erasures_path(self) -> Path:
        """The file of erasures that were asked for and are not done yet."""
        return self.home / "asked_erasures.sqlite"

    @property
    def tokens_path(self) -> Path:
        """The file of the data plane's tokens and their scopes; once it exists, every caller needs a token."""
        return self.home / "tokens.json"

    @property
    def last_known_path(self) -> Path:
        """The file of the registry's last known state, for data planes that start while its database is away."""
        return self.home / "last_known.sqlite"

    @property
    def trials_path(self) -> Path:
        """The folder with the outcomes of the trials that were made on this machine."""
        return self.home / "trials"

    @property
    def address_path(self) -> Path:
        """The file that holds the data plane's address while the data plane listens on it."""
        return self.home / "serving.json"

    @property
    def storage(self) -> str:
        """The address of the content-addressed store: a folder, or an S3 URL."""
        return self.storage_url or str(self.home / "artifacts")

    @property
    def log(self) -> str:
        """The address of the prediction log's Delta Lake tables: a folder, or an S3 URL."""
        return self.log_url or str(self.home / "log")


def _listed(text: str) -> tuple[str, ...]:
    return tuple(filter(None, (part.strip() for part in text.split(","))))
