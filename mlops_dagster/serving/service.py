"""One data plane, put together: what answers, and what works beside it."""

import logging
import socket
import uuid
from datetime import UTC, datetime

from mlops_dagster.clock import Clock, ReplayedClock, SystemClock
from mlops_dagster.errors import MlopsError
from mlops_dagster.serving.background import Repeating
from mlops_dagster.serving.deployments import REFRESH_SECONDS, Deployments
from mlops_dagster.serving.fuse import Fuse
from mlops_dagster.serving.housekeeping import Housekeeping
from mlops_dagster.serving.loader import Loader
from mlops_dagster.serving.plane import DataPlane
from mlops_dagster.serving.scoring import Scorer
from mlops_dagster.serving.telemetry import Telemetry
from mlops_dagster.serving.tracing import Tracing
from mlops_dagster.settings import Settings
from mlops_dagster.wiring import House

logger = logging.getLogger(__name__)

ROLL_UP_SECONDS = 1.0
SHIP_SECONDS = 5.0
MEASURE_SECONDS = 5.0
WALL = SystemClock()

# Where a replayed clock stands before the first request says when it happened.
EARLIEST = datetime(1970, 1, 1, tzinfo=UTC)


class Service:
    """Opens the stores of one home; `start` begins the work beside the requests, `stop` ends it with nothing lost.

    Raises HomeNotWritableError.
    """

    def __init__(self, settings: Settings, clock: Clock) -> None:
        self.process = f"{socket.gethostname()}-{uuid.uuid4().hex[:12]}"
        self.telemetry = Telemetry()
        self.tracing = Tracing(self.process, self.telemetry)
        self.house = house = House(settings, clock, actor="data plane")
        self.loader = Loader(house.registry, self.telemetry)
        self.deployments = Deployments(self.process, house.registry, house.rollouts, self.loader, self.telemetry)
        fuse = Fuse(house.registry, house.local_rollups, self.deployments, clock, self.telemetry)
        self._scorer = Scorer(self.process, house.spool, self.telemetry, self.tracing, settings.predict_timeout)
        self.plane = DataPlane(self.process, house, self.deployments, self._scorer, self.telemetry)
        self.housekeeping = Housekeeping(house, self.deployments, fuse, self._scorer.off_path, self.telemetry)
        self._work = [
            Repeating("deployments", REFRESH_SECONDS, self.deployments.refresh, self.telemetry),
            Repeating("rollups", ROLL_UP_SECONDS, self.housekeeping.roll_up, self.telemetry),
            Repeating("shared rollups", ROLL_UP_SECONDS, self.housekeeping.share, self.telemetry),
            Repeating("log", SHIP_SECONDS, self.housekeeping.ship, self.telemetry),
            Repeating("process", MEASURE_SECONDS, self.telemetry.measure, self.telemetry),
        ]

    def start(self) -> None:
        self.deployments.refresh()
        for work in self._work:
            work.start()

    def metrics(self) -> bytes:
        """The text format of Prometheus. The spool is looked at now: who ships may be the one that hangs."""
        try:
            self.telemetry.spooled(self.house.spool.depth(), WALL.now())
        except MlopsError:
            self.telemetry.failed("spool depth")
            logger.exception("the depth of the spool is not known now")
        return self.telemetry.exposition()

    def stop(self) -> None:
        """To be called when no request is left. What cannot be counted or shipped now waits in the spool."""
        for work in self._work:
            work.stop()
        self._scorer.off_path.close()
        try:
            self.housekeeping.flush(log=True)
        except MlopsError:
            logger.exception("the last predictions stay in the spool; the next data plane ships them")
        self.tracing.close()
        self.loader.close()
        self.house.spool.close()
        for rollups in {self.house.local_rollups, self.house.rollups}:
            rollups.close()


def clock_for(settings: Settings) -> Clock:
    """The machine's clock, or one that follows the times that requests bring."""
    if settings.accept_event_time:
        return ReplayedClock(EARLIEST)
    return SystemClock()
