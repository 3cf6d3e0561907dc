"""What all parts of the registry work with: a database, a store of bytes, a clock, and somebody who writes."""

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
from mlops_dagster.registry.address import locate, public_address
from mlops_dagster.registry.artifacts import ContentStore, Progress, open_store
from mlops_dagster.registry.stores import sql
from mlops_dagster.registry.stores.event_log import EventLog
from mlops_dagster.registry.stores.event_time import event_time
from mlops_dagster.registry.stores.ledger import Ledger
from mlops_dagster.settings import Settings
from mlops_dagster.trial import Trials

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client

CATALOGUE_SECONDS = 5.0
"""The longest that a write waits for the catalogue."""

logger = logging.getLogger(__name__)


class Session:
    """One way into a registry; any number of processes and threads may have one."""

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
        # Who names the catalogue wants it told at once; from the settings, a sensor and `mlops catalogue sync` tell it.
        self._tells_catalogue = uri is not None and uri.startswith("mlflow:")
        self._make_folders()
        self._s3 = s3
        blobs, self._anchors = open_store(
            self._place.storage, anchors=_name(self._place.database), s3=s3, progress=progress
        )
        self._content = ContentStore(blobs, allow_unsafe=self._settings.allow_unsafe_artifacts)
        self._trials = Trials(self._settings, self._place.trials)
        self._engine = open_database(self._place.database)
        weakref.finalize(self, self._engine.dispose)  # who forgets `close` leaves no connection behind
        self._clock = clock or SystemClock()
        self._actor = actor or os_user()
        migrate(self._engine)
        with looking(self._engine) as connection:
            self._cleaning = sql.last_cleaning(connection)  # of orphans: the last one that this session knows of

    def close(self) -> None:
        """Close the connections to the database; the next call opens them again."""
        self._engine.dispose()

    def sync_catalogue(self) -> int:
        """Tell the catalogue all that it was not told yet, and return how many events that were.

        Raises InvalidInputError if none is configured, and ServerError if it is away or refuses something.
        """
        return self._deliver(seconds=None)

    def catalogue_backlog(self) -> int:
        """How many events the catalogue was not told of yet; 0 if there is no catalogue. Asks the database only."""
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
        """One transaction of changes to `model`; once they are made, the head of the chain is noted outside.

        Raises EventTimeError where the clock is not of the present, unless the change is `urgent`.
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
        """The change is made, whatever becomes of the catalogue: the next write or sync tells it."""
        try:
            self._deliver(CATALOGUE_SECONDS)
        except MlopsError as error:
            logger.warning("the change is made and kept, but not shown by MLflow yet: %s", error)

    def _deliver(self, seconds: float | None) -> int:
        from mlops_dagster.registry.mlflow import deliver

        if self._place.catalogue is None:
            raise InvalidInputError(
                "there is no catalogue to tell; set MLOPS_MLFLOW_URL=mlflow://host:port or open the registry with that"
            )
        return deliver(self._engine, self._place.catalogue, self._place.storage, seconds)

    def _make_folders(self) -> None:
        """Raise HomeNotWritableError rather than fail at the first write."""
        database = parse_url(self._place.database)
        if database.drivername == "sqlite":
            home = Path(str(database.database)).parent
            alone = home == self._settings.home
            self._settings.model_copy(update={"home": home}).writable_home(alone=alone)


def _name(database: str) -> str:
    """What tells the anchors of this database from those of others in the same store."""
    return Path(str(parse_url(database).database)).stem


def os_user() -> str:
    """Who runs this process."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container may run under a number that has no name
        return f"uid:{os.getuid()}"
