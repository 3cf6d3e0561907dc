"""The service of one worker: its data plane, and the background work that runs next to the requests."""

import logging
import socket
import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from mlops_dagster.clock import Clock, ReplayedClock, SystemClock
from mlops_dagster.errors import MlopsError, StorageError, UnreadableError
from mlops_dagster.serving.deployed.deployments import REFRESH_SECONDS, Deployments
from mlops_dagster.serving.deployed.fuse import Fuse
from mlops_dagster.serving.deployed.loader import Loader
from mlops_dagster.serving.deployed.registry_cache import RegistryCache
from mlops_dagster.serving.plane.known_tasks import KnownTasks
from mlops_dagster.serving.plane.plane import DataPlane
from mlops_dagster.serving.plane.scoring import Scorer
from mlops_dagster.serving.processes.at_work import Marks
from mlops_dagster.serving.telemetry.telemetry import Telemetry
from mlops_dagster.serving.telemetry.tracing import Tracing
from mlops_dagster.serving.upkeep.periodic import PeriodicTask
from mlops_dagster.serving.upkeep.shipping import Shipper
from mlops_dagster.settings import Settings
from mlops_dagster.stores import Stores

logger = logging.getLogger(__name__)

FUSE_SECONDS = 0.5
SHARED_FUSE_SECONDS = 1.0
TELL_SECONDS = 1.0
LIMITS_SECONDS = 5.0
MEASURE_SECONDS = 5.0
BEAT_SECONDS = 20.0
WARM_SECONDS = 60.0
"""The longest that a start waits for versions to load; a version that takes longer comes into force later."""

LOG_BEHIND = timedelta(minutes=2)
"""A log that is further behind the spool has a fault, and is not just slow."""

WALL = SystemClock()

_SPOOL_DEPTH = "spool depth"

# The time of a replayed clock before the first request.
EARLIEST = datetime(1970, 1, 1, tzinfo=UTC)


class Service:
    """The parts of a worker: `start` begins the background work, `stop` ends it with nothing lost.

    `name` is the worker's name in metrics; the file `marks` tells its supervisor which versions it was loading or
    scoring when it died. Raises HomeNotWritableError.
    """

    def __init__(self, settings: Settings, clock: Clock, name: str | None = None, marks: Path | None = None) -> None:
        self.process = f"{socket.gethostname()}-{uuid.uuid4().hex[:12]}"
        self.telemetry = Telemetry(name)
        self.tracing = Tracing(self.process, self.telemetry)
        self.stores = stores = Stores(settings, clock, actor="data plane")
        self.last_known = last_known = RegistryCache(settings.last_known_path)
        self.loader = Loader(stores, last_known, self.telemetry, Marks(marks))
        self.deployments = Deployments(self.process, stores, last_known, self.loader, self.telemetry)
        self.fuse = Fuse(stores, self.deployments, clock, self.telemetry)
        self._scorer = Scorer(self.process, stores.spool, self.telemetry, self.tracing, settings.predict_timeout)
        tasks = KnownTasks(last_known)
        self.plane = DataPlane(self.process, stores, self.deployments, tasks, self._scorer, self.telemetry)
        self._housekeeping = Shipper(stores, last_known, self.telemetry)
        self.telemetry.begin_task(_SPOOL_DEPTH)
        self._work = [
            PeriodicTask("deployments", REFRESH_SECONDS, self.deployments.refresh, self.telemetry),
            PeriodicTask("slow limits", LIMITS_SECONDS, self.deployments.read_slow_limits, self.telemetry),
            PeriodicTask("fuse", FUSE_SECONDS, self.fuse.check, self.telemetry),
            # In a separate thread: a database that hangs holds up no verdict on the counts of this machine.
            PeriodicTask("shared fuse", SHARED_FUSE_SECONDS, self.fuse.check_shared, self.telemetry),
            PeriodicTask("withdrawals", TELL_SECONDS, self.fuse.tell, self.telemetry),
            PeriodicTask("process", MEASURE_SECONDS, self.telemetry.measure, self.telemetry),
            PeriodicTask("presence", BEAT_SECONDS, self._beat, self.telemetry, at_once=True),
        ]

    def start(self) -> None:
        """Load every version that has a role, then start the background work; requests may come when this returns.

        A version that cannot be loaded, or takes longer than WARM_SECONDS, is not waited for.
        """
        self._try("the labels of its answers reach it later", self.stores.feedback.look)
        self._refresh()
        if self.deployments.wait_for_loads(WARM_SECONDS):
            self._refresh()
        self.fuse.check()  # a canary that was cut off while the registry was away gets no more requests
        for work in self._work:
            work.start()

    def _beat(self) -> None:
        self.stores.registry.beat(self.process)

    def _refresh(self) -> None:
        self._try("the last known state of the registry is served", self.deployments.refresh)

    def _try(self, otherwise: str, ask: Callable[[], object]) -> None:
        try:
            ask()
        except StorageError as error:
            logger.warning("the database is away, %s: %s", otherwise, error)
        except UnreadableError as error:
            logger.error("%s: %s", otherwise, error)

    def flush(self, *, log: bool) -> dict[str, int]:
        """Bring all answers and labels so far into the rollups (and, with `log`, the log), and let the fuse check them.

        The scorings off the response path for answers of this worker are included. Those for answers of other workers
        are included if they are done, which takes about a second.
        """
        self._scorer.off_path.drain()
        result = self._housekeeping.flush(log=log)
        self.fuse.check()
        self.fuse.check_shared()
        return result

    def not_ready(self) -> dict[str, str]:
        """Return why requests cannot be answered, by the model or part that is the cause; empty when they can be."""
        reasons = self.deployments.unavailable()
        if (error := self.cannot_record()) is not None:
            reasons["spool"] = error
        return reasons

    def cannot_record(self) -> str | None:
        """Return why answers cannot be recorded, and so are not given; None if they can be."""
        try:
            self.stores.spool.check_writable()
        except StorageError as error:
            return error.message
        return None

    def warnings(self) -> dict[str, str]:
        """Return the faults off the response path, by part: requests are answered, but a person must see to them."""
        found = {work.name: f"fails ({work.trouble})" for work in self._work if work.trouble is not None}
        try:
            oldest, held = self.stores.spool.depth().oldest, self.stores.spool.held.tables()
        except MlopsError:
            return found  # `not_ready` reports the spool
        for table in held:
            found[table.table] = f"the log does not take its {table.entries} entries; they are kept in the spool"
        if oldest is not None and not held and (age := WALL.now() - oldest) > LOG_BEHIND:
            found["log"] = f"it is {age // timedelta(minutes=1)} minutes behind; nothing is lost, the spool keeps it"
        return found

    def metrics(self) -> bytes:
        """Return all metrics as text for Prometheus; the spool is measured now, as the process that ships may hang."""
        try:
            self.telemetry.spool.measured(self.stores.spool.depth(), WALL.now())
            self.telemetry.spool.held({table.table: table.entries for table in self.stores.spool.held.tables()})
        except MlopsError:
            self.telemetry.failed(_SPOOL_DEPTH)
            logger.exception("the depth of the spool is not known now")
        return self.telemetry.exposition()

    def stop(self) -> None:
        """End the work, once no request is left; the housekeeper ships the entries that remain in the spool."""
        for work in self._work:
            work.stop()
        try:
            self.stores.registry.leave(self.process)
        except StorageError as error:
            logger.warning("others take this worker for one that is there, for a minute and a half: %s", error)
        self._scorer.close()
        self.tracing.close()
        self.loader.close()
        self.stores.spool.close()
        for rollups in {self.stores.local_rollups, self.stores.rollups}:
            rollups.close()
        self.stores.feedback.close()
        self.last_known.close()


def clock_for(settings: Settings) -> Clock:
    """Return the machine's clock, or with MLOPS_ACCEPT_EVENT_TIME one that follows the times of the requests."""
    if settings.accept_event_time:
        return ReplayedClock(EARLIEST)
    return SystemClock()
