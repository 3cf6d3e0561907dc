"""The session of a registry: the database, content store, clock and actor that all its parts work with."""

import getpass
import logging
import os
import weakref
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from mlops_dagster.clock import Clock, SystemClock
from mlops_dagster.database import looking, migrate, open_database, reading, writing
from mlops_dagster.database.engines import parse_url
from mlops_dagster.documents.texts import plain
from mlops_dagster.errors import InvalidInputError, MlopsError
from mlops_dagster.extras import require
from mlops_dagster.registry.address import locate, public_address
from mlops_dagster.registry.artifacts import ContentStore, Progress, open_store
from mlops_dagster.registry.stores import sql
from mlops_dagster.registry.stores.event_log import EventLog
from mlops_dagster.registry.stores.event_time import event_time
from mlops_dagster.registry.stores.ledger import Ledger
from mlops_dagster.settings import Settings
from mlops_dagster.storage.home import make_writable
from mlops_dagster.trial import Trials

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client

CATALOGUE_SECONDS = 5.0
"""The longest time, in seconds, that a write waits for the MLflow server."""

logger = logging.getLogger(__name__)


class Session:
    """An open registry; any number of processes and threads may have a session on the same one."""

    def __init__(
        self,
        uri: str | None = None,
        *,
        settings: Settings | None = None,
        clock: Clock | None = None,
        actor: str | None = None,
        s3: "S3Client | None" = None,
        progress: Progress | None = None,
    ) -> None:
        self._settings = settings or Settings()
        self._place = locate(uri, self._settings)
        # A caller whose `uri` names the server wants it updated at once; if only the settings name it, a sensor and
        # `mlops catalogue sync` update it.
        self._tells_catalogue = uri is not None and uri.startswith("mlflow:")
        self._make_folders()
        self._s3 = s3
        blobs, self._anchors = open_store(
            self._place.storage, anchors=_name(self._place.database), s3=s3, progress=progress
        )
        self._content = ContentStore(blobs, allow_unsafe=self._settings.allow_unsafe_artifacts)
        self._trials = Trials(self._settings, self._place.trials)
        self._engine = open_database(self._place.database)
        weakref.finalize(self, self._engine.dispose)  # a caller who forgets `close` leaks no connection
        self._clock = clock or SystemClock()
        self._actor = actor or os_user()
        migrate(self._engine)
        with looking(self._engine) as connection:
            self._cleaning = sql.last_cleaning(connection)  # id of the last removal of orphans it knows of

    def close(self) -> None:
        """Close the connections to the database; the next call opens them again."""
        self._engine.dispose()

    def sync_catalogue(self) -> int:
        """Send the MLflow server every change that it lacks, and return the number of events that this covers.

        Raises InvalidInputError if no server is configured, MissingExtraError, and ServerError if it is away or refuses
        something.
        """
        return self._deliver(seconds=None)

    def catalogue_backlog(self) -> int:
        """Return the number of events that the MLflow server lacks, from the database; 0 if no server is configured."""
        if self._place.catalogue is None:
            return 0
        with reading(self._engine) as connection:
            last, _ = sql.head(connection)
            return last - sql.catalogue_cursor(connection, public_address(self._place.catalogue))

    @contextmanager
    def _changing(
        self,
        model: str,
        reason: str = "",
        evidence: Mapping[str, object] | None = None,
        *,
        urgent: bool = False,
    ) -> Iterator[Ledger]:
        """Open one transaction of changes to `model`; after its commit, note the chain's head outside the database.

        Raises EventTimeError if the clock is too far from the present, unless the change is `urgent`.
        """
        with writing(self._engine) as connection:
            log = EventLog(connection)
            last = sql.last_times(connection, model)
            at = event_time(self._clock.now(), SystemClock().now(), last, model=model, urgent=urgent)
            yield Ledger(connection, log, model, self._actor, at, plain(reason), evidence)
        self._anchors.note(log.last, log.hash)
        if self._tells_catalogue:
            self._try_to_deliver()

    def _try_to_deliver(self) -> None:
        """Update the MLflow server; a failure is only logged: the change is kept, and the next write sends it."""
        try:
            self._deliver(CATALOGUE_SECONDS)
        except MlopsError as error:
            logger.warning("the change is made and kept, but not shown by MLflow yet: %s", error)

    def _deliver(self, seconds: float | None) -> int:
        if self._place.catalogue is None:
            raise InvalidInputError(
                "no catalogue is set; set MLOPS_MLFLOW_URL=mlflow://host:port or open the registry with it"
            )
        require("mlflow", "MLflow")
        from mlops_dagster.registry.mlflow.delivery import deliver

        return deliver(self._engine, self._place.catalogue, self._place.storage, seconds)

    def _make_folders(self) -> None:
        """Raise HomeNotWritableError rather than fail at the first write."""
        database = parse_url(self._place.database)
        if database.drivername == "sqlite":
            home = Path(str(database.database)).parent
            alone = home == self._settings.home
            make_writable(home, alone=alone)


def _name(database: str) -> str:
    """Return the name that tells the anchors of `database` from those of other databases in the same content store."""
    return Path(str(parse_url(database).database)).stem


def os_user() -> str:
    """Return the name of the OS user who runs this process."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container may run under a user id that has no name
        return f"uid:{os.getuid()}"
