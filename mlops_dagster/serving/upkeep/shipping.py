"""From the spool to the rollups and the log, beside the requests."""

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta

from mlops_dagster.alerting import Severity
from mlops_dagster.errors import CountsLostError
from mlops_dagster.predictions import Consumer, LabelDebt, Recounted, Rollups, Taken, recount
from mlops_dagster.predictions.rollups.fold import BinsOf
from mlops_dagster.predictions.spool.held import HeldTable
from mlops_dagster.rollout import RolloutPolicy
from mlops_dagster.serving.deployed.registry_cache import RegistryCache
from mlops_dagster.serving.plane.known_classes import KnownClasses
from mlops_dagster.serving.telemetry.telemetry import Telemetry
from mlops_dagster.serving.upkeep.unsettled import shed_of_the_dead
from mlops_dagster.statistics import Bins
from mlops_dagster.stores import Stores

HELD_RULE = "log_held"
"""Of the alert that a table of the log does not take what is to be written to it."""

UNCOUNTED_RULE = "counts_missing"
"""Of the alert that lost counts of a model could not be counted again from the log."""


class Shipper:
    """Rolls up and ships; every method may be called from any thread and process, also at the same time."""

    def __init__(self, stores: Stores, last_known: RegistryCache, telemetry: Telemetry) -> None:
        self._stores = stores
        self._telemetry = telemetry
        self._classes = KnownClasses(last_known)
        self._last_known = last_known
        self._bins: dict[tuple[str, str], Mapping[str, Bins] | None] = {}
        self._rolled_up = -1
        self._label_period = timedelta(days=stores.settings.label_days)
        shared: list[Consumer] = ["shared"] if stores.shared_rollups else []
        stores.spool.keep_for(["rolled_up", "shipped", *shared])
        self._repeated_ids = stores.spool.repeated_ids()

    def roll_up(self) -> int:
        """Index and count what is in the spool; returns the number of the last entry counted.

        Features are counted where they are read: in the database, where there is one. Counts that were lost are counted
        again from the log first.
        """
        if self._stores.spool.last_number() > self._rolled_up:
            self._rolled_up = self._catch_up(self._stores.local_rollups)
        return self._rolled_up

    def newly_repeated_ids(self) -> dict[str, int]:
        """By model, how many predictions repeated an id since the last call; of those that are indexed by now."""
        before, self._repeated_ids = self._repeated_ids, self._stores.spool.repeated_ids()
        return {model: count - before.get(model, 0) for model, count in self._repeated_ids.items()}

    def share(self) -> None:
        """Add what is in the spool to the counts of all machines, where they share a database."""
        if shared := self._stores.shared_rollups:
            self._catch_up(shared)

    def recount(self) -> Recounted:
        """Count all that this home gave to the log again, whether counts are missing or not; returns how much."""
        found = Recounted(0, 0)
        for rollups in self._stores.all_rollups:
            found = self._recount(rollups, only_if_lost=False) or found
            self._catch_up(rollups)
        return found

    def _catch_up(self, rollups: Rollups) -> int:
        spool = self._stores.spool
        try:
            return rollups.catch_up(spool, self._bins_for(rollups), slow_ms_of=self._slow_ms)
        except CountsLostError:
            self._recount(rollups, only_if_lost=True)
            return rollups.catch_up(spool, self._bins_for(rollups), slow_ms_of=self._slow_ms)

    def _recount(self, rollups: Rollups, *, only_if_lost: bool) -> Recounted | None:
        stores = self._stores
        found = recount(
            rollups,
            stores.spool,
            stores.log,
            self._bins_for(rollups),
            self._slow_ms,
            shared_log=stores.settings.log_url is not None,
            only_if_lost=only_if_lost,
        )
        if found is not None:
            self._tell_uncounted(found.left_out)
        return found

    def _tell_uncounted(self, left_out: Mapping[str, str]) -> None:
        """Open an alert for each model of which nothing was counted again, and resolve those that are over."""
        alerts, spool = self._stores.alerts, self._stores.spool
        held = self._held()
        for model, reason in left_out.items():
            alerts.report(
                model,
                UNCOUNTED_RULE,
                Severity.WARNING,
                f"the counts that decisions read were lost, and those of {model} cannot be counted again: {reason}",
                done="the other models are counted; what lacks evidence decides nothing",
                evidence={"spool": spool.id, "held": model in held},
            )
        for alert in alerts.list():
            its = alert.rule == UNCOUNTED_RULE and alert.evidence.get("spool") == spool.id
            if its and alert.model not in left_out:
                alerts.resolve(alert.model, UNCOUNTED_RULE, "all that the log has was counted again")

    def _bins_for(self, rollups: Rollups) -> BinsOf:
        return self._bins_of if rollups is self._stores.rollups else _no_bins

    def shed_of_the_dead(self) -> None:
        """Record as left out what workers had waiting off the response path that were killed."""
        shed_of_the_dead(self._stores.settings.home, self._stores.spool)

    def ship(self) -> int:
        """Move what is in the spool to the log; returns the number of rows."""
        return self._stores.log.ship(self._stores.spool)

    def tell_held(self) -> None:
        """Open an alert for each model whose log does not take its entries, and resolve those that are over.

        What was not counted again because of that is counted once it is over.
        """
        alerts, spool = self._stores.alerts, self._stores.spool
        held = self._held()
        for model, table in held.items():
            alerts.report(
                model,
                HELD_RULE,
                Severity.WARNING,
                f"the log's table {table.table} does not take its entries: {table.entries} are kept in the spool, the "
                f"first of {table.oldest:%Y-%m-%d %H:%M} UTC; {table.reason}",
                done="all other tables go on; it is tried again every minute",
                evidence={"spool": spool.id, "entries": table.entries},
            )
        over = [alert for alert in alerts.list() if alert.evidence.get("spool") == spool.id and alert.model not in held]
        for alert in over:
            if alert.rule == HELD_RULE:
                alerts.resolve(alert.model, HELD_RULE, "the log has taken all entries that were kept")
        if any(alert.rule == UNCOUNTED_RULE and alert.evidence.get("held") for alert in over):
            self.recount()

    def _held(self) -> dict[str, HeldTable]:
        """What waits for the log, by model; labels by the name of their table."""
        return {table.table.rpartition("/")[2]: table for table in self._stores.spool.held.tables()}

    def exchange_labels(self) -> bool:
        """Record labels of predictions of this machine that were sent to others; returns whether there were any."""
        taken = self._stores.feedback.exchange()
        self._tell(taken)
        return bool(taken)

    def settle_labels(self) -> None:
        """See to labels that no replica takes: find them in the log, or count them as of no prediction."""
        found, unmatched = self._stores.feedback.settle(self._stores.log, self._label_period)
        self._tell(found)
        for model, labels in unmatched.items():
            self._telemetry.labels_unmatched(model, labels)
        self._telemetry.labels_waiting(self._stores.feedback.waiting())

    def prune_labels(self) -> int:
        """Await labels no more of what was answered too long ago; returns how many predictions."""
        return self._stores.feedback.prune(self._label_period)

    def flush(self, *, log: bool) -> dict[str, int]:
        """Bring everything that is in the spool into the rollups (and the log)."""
        result = {"rolled_up": self.roll_up()}
        if log:
            self.ship()
        if self.exchange_labels():
            result["rolled_up"] = self.roll_up()
            if log:
                self.ship()
        if log:
            result["logged"] = sum(self._stores.log.count(model) for model in self._stores.log.models())
        self.share()
        result["answered"] = sum(process.answered for process in self._stores.spool.processes())
        return result

    def label_debts(self, now: datetime) -> dict[str, LabelDebt]:
        """Return what has no label of all whose label is still awaited, by model."""
        rollups = self._stores.rollups
        return {model: rollups.label_debt(model, now - self._label_period, now) for model in rollups.models()}

    def _tell(self, labels: Iterable[Taken]) -> None:
        for taken in labels:
            self._telemetry.labelled(taken.model, taken.result, self._classes.of(taken.model))

    def _bins_of(self, model: str, version: str) -> Mapping[str, Bins] | None:
        """Of a version that a worker has loaded: it was noted before it served."""
        key = (model, version)
        if key not in self._bins and (noted := self._last_known.version(model, version)) is not None:
            histograms = {} if noted.baseline is None else {**noted.baseline.features, "score": noted.baseline.score}
            self._bins[key] = {name: histogram.bins for name, histogram in histograms.items()} or None
        return self._bins.get(key)

    def _slow_ms(self, model: str) -> float:
        known = self._last_known.deployment(model)
        rollout = known.rollout if known is not None else None
        return (rollout.policy if rollout is not None else RolloutPolicy()).slow_ms


def _no_bins(_model: str, _version: str) -> None:
    return None
