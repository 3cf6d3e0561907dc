"""The last known state of the registry, in a file of the home.

The workers keep it up to date. A worker that starts while the database is away serves from it, and the rollups, which
must never wait for a database that hangs, read the registry from nowhere else.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import orjson

from mlops_dagster.documents.readable import readable, reading_row
from mlops_dagster.predictions.spool.sqlite import SqliteFile
from mlops_dagster.registry import Deployment, ModelVersion
from mlops_dagster.registry.stores.rows import deployment_of, deployment_row, version_of, version_row
from mlops_dagster.rollout import Rollout

_SCHEMA = """
CREATE TABLE IF NOT EXISTS deployments (
    model TEXT PRIMARY KEY, epoch INTEGER NOT NULL, deployment TEXT NOT NULL, rollout TEXT
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS versions (
    model TEXT NOT NULL, version TEXT NOT NULL, body TEXT NOT NULL, PRIMARY KEY (model, version)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS slow_limits (model TEXT PRIMARY KEY, slow_ms REAL NOT NULL) WITHOUT ROWID
"""


class Known(NamedTuple):
    """The last known deployment of a model, and the rollout that runs."""

    deployment: Deployment
    rollout: Rollout | None


class RegistryCache:
    """A file of last known deployments and versions, for any number of threads and processes.

    Every method raises StorageError and CorruptedError. An entry that cannot be read is logged and counts as missing:
    it is replaced when the registry is read the next time.
    """

    def __init__(self, path: Path) -> None:
        self._file = SqliteFile(path, _SCHEMA)

    def note(self, known: Known) -> None:
        """Keep a deployment and its rollout as the last known ones, unless a later epoch of the model is kept."""
        deployment, rollout = known
        body = orjson.dumps(deployment_row(deployment)).decode()
        with self._file.writing() as connection:
            connection.execute(
                "INSERT INTO deployments VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE SET epoch = excluded.epoch, "
                "deployment = excluded.deployment, rollout = excluded.rollout WHERE excluded.epoch >= epoch",
                (deployment.model, deployment.epoch, body, None if rollout is None else rollout.to_json()),
            )

    def deployment(self, model: str) -> Known | None:
        """Return the last known deployment and rollout of a model; None if there are none."""
        with self._file.reading() as connection:
            found = connection.execute(
                "SELECT deployment, rollout FROM deployments WHERE model = ?", (model,)
            ).fetchone()
        return None if found is None else next(iter(readable([(model, *found)], _known)), None)

    def deployments(self) -> list[Known]:
        """Return the last known deployment and rollout of every model."""
        with self._file.reading() as connection:
            rows = connection.execute("SELECT model, deployment, rollout FROM deployments").fetchall()
        return readable(rows, _known)

    def note_version(self, version: ModelVersion) -> None:
        """Keep a version as the last known one of its name."""
        body = orjson.dumps(version_row(version)).decode()
        with self._file.writing() as connection:
            connection.execute("REPLACE INTO versions VALUES (?, ?, ?)", (version.model, version.version, body))

    def version(self, model: str, version: str) -> ModelVersion | None:
        """Return the version as it was last known; None if it never was."""
        with self._file.reading() as connection:
            found = connection.execute(
                "SELECT body FROM versions WHERE model = ? AND version = ?", (model, version)
            ).fetchone()
        return None if found is None else next(iter(readable([(model, version, *found)], _version)), None)

    def versions(self, model: str) -> list[str]:
        """Return the names of a model's known versions."""
        with self._file.reading() as connection:
            return [name for (name,) in connection.execute("SELECT version FROM versions WHERE model = ?", (model,))]

    def note_slow_limits(self, slow_ms: Mapping[str, float]) -> None:
        """Keep the published limit, by model, above which a request is slow."""
        with self._file.writing() as connection:
            connection.executemany("REPLACE INTO slow_limits VALUES (?, ?)", list(slow_ms.items()))

    def slow_limit(self, model: str) -> float | None:
        """Return the last known limit of a model in milliseconds; None if there is none."""
        with self._file.reading() as connection:
            found = connection.execute("SELECT slow_ms FROM slow_limits WHERE model = ?", (model,)).fetchone()
        return None if found is None else float(found[0])

    def slow_limits(self) -> dict[str, float]:
        """Return the last known limits in milliseconds, by model."""
        with self._file.reading() as connection:
            return dict(connection.execute("SELECT model, slow_ms FROM slow_limits").fetchall())

    def close(self) -> None:
        self._file.close()


def _known(row: tuple[str, str, str | None]) -> Known:
    model, deployment, rollout = row
    with reading_row(f"what was noted last of {model}", "it is noted anew once the registry is read"):
        return Known(deployment_of(orjson.loads(deployment)), None if rollout is None else Rollout.from_json(rollout))


def _version(row: tuple[str, str, str]) -> ModelVersion:
    model, version, body = row
    with reading_row(f"what was noted last of {model} {version}", "it is noted anew once it is loaded"):
        return version_of(orjson.loads(body))
