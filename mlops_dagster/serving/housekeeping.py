"""From the spool to the rollups and the log, beside the requests."""

import threading
from collections.abc import Mapping

from mlops_dagster.predictions import Consumer
from mlops_dagster.serving.deployments import Deployments
from mlops_dagster.serving.fuse import Fuse
from mlops_dagster.serving.paired import OffPath
from mlops_dagster.serving.telemetry import Telemetry
from mlops_dagster.statistics import Bins
from mlops_dagster.wiring import House


class Housekeeping:
    """Rolls up, judges and ships; every method may be called from any thread."""

    def __init__(
        self, house: House, deployments: Deployments, fuse: Fuse, off_path: OffPath, telemetry: Telemetry
    ) -> None:
        self._house = house
        self._deployments = deployments
        self._fuse = fuse
        self._off_path = off_path
        self._telemetry = telemetry
        self._bins: dict[tuple[str, str], Mapping[str, Bins] | None] = {}
        self._one_fuse = threading.Lock()
        shared: list[Consumer] = ["shared"] if house.shared_rollups else []
        house.spool.keep_for(["rolled_up", "shipped", *shared])

    def roll_up(self) -> int:
        """Index and count what is in the spool, then let the fuse look; returns the number of the last entry counted.

        Features are counted where they are read. So the fuse needs no registry when there is a database, which may be
        away.
        """
        self._house.spool.index()
        bins_of = _no_bins if self._house.shared_rollups else self._bins_of
        number = self._house.local_rollups.catch_up(self._house.spool, bins_of, slow_ms_of=self._slow_ms)
        with self._one_fuse:
            self._fuse.check()
        return number

    def share(self) -> None:
        """Add what is in the spool to the counts of all machines, where they share a database."""
        if shared := self._house.shared_rollups:
            shared.catch_up(self._house.spool, self._bins_of, slow_ms_of=self._slow_ms)

    def ship(self) -> int:
        """Move what is in the spool to the log; returns the number of rows."""
        return self._house.log.ship(self._house.spool)

    def flush(self, *, log: bool) -> dict[str, int]:
        """Bring everything that was answered so far, and its pairs and labels, into the rollups (and the log)."""
        self._off_path.drain()
        result = {"rolled_up": self.roll_up()}
        if log:
            self.ship()
            result["logged"] = sum(self._house.log.count(model) for model in self._house.log.models())
        self.share()
        result["answered"] = sum(process.answered for process in self._house.spool.processes())
        return result

    def _bins_of(self, model: str, version: str) -> Mapping[str, Bins] | None:
        key = (model, version)
        if key not in self._bins:
            baseline = self._house.registry.get(model, version).baseline
            histograms = {} if baseline is None else {**baseline.features, "score": baseline.score}
            self._bins[key] = {name: histogram.bins for name, histogram in histograms.items()} or None
        return self._bins[key]

    def _slow_ms(self, model: str) -> float:
        return self._deployments.policy(model).slow_ms


def _no_bins(_model: str, _version: str) -> None:
    return None
