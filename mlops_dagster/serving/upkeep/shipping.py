"""The shipper: brings entries of the spool into the rollups and the log, in the background."""

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta

from mlops_dagster.alerting import FLEET, Reading, Rule, Severity
from mlops_dagster.errors import CountsLostError
from mlops_dagster.predictions import Consumer, LabelDebt, Recounted, Rollups, Taken, Unit, recount
from mlops_dagster.predictions.rollups.counting.fold import BinsOf
from mlops_dagster.predictions.spool.held import HeldTable
from mlops_dagster.retention import Kind
from mlops_dagster.rollout import RolloutPolicy
from mlops_dagster.serving.deployed.registry_cache import RegistryCache
from mlops_dagster.serving.plane.known_tasks import KnownTasks
from mlops_dagster.serving.telemetry.telemetry import Telemetry
from mlops_dagster.serving.upkeep.isolation import for_each
from mlops_dagster.serving.upkeep.unsettled import shed_of_the_dead
from mlops_dagster.statistics import Bins
from mlops_dagster.stores import Stores
from mlops_dagster.tasks import UNKNOWN_TASK, Task

HELD_RULE = Rule.LOG_HELD
"""The rule of the alert that a table of the log does not take its entries."""

UNCOUNTED_RULE = Rule.COUNTS_MISSING
"""The rule of the alert that lost counts of a model could not be counted again from the log."""


class Shipper:
    """The shipper of one home; its methods may be called from any thread and process, also at the same time."""

    def __init__(self, stores: Stores, last_known: RegistryCache, telemetry: Telemetry) -> None:
        self._stores = stores
        self._telemetry = telemetry
        self._tasks = KnownTasks(last_known)
        self._last_known = last_known
        self._bins: dict[tuple[str, str], Mapping[str, Bins] | None] = {}
        self._rolled_up = -1
        self._label_period = timedelta(days=stores.settings.label_days)
        shared: list[Consumer] = ["shared"] if stores.shared_rollups else []
        stores.spool.marks.keep_for(["rolled_up", "shipped", *shared])
        self._repeated_ids = stores.spool.awaiting.repeated()

    def roll_up(self) -> int:
        """Index the spool's entries and count them in this machine's rollups; return the last one's number.

        Features are only counted in the rollups that decisions read: the shared ones where there is a shared database.
        Counts that were lost are counted again from the log first.
        """
        if self._stores.spool.last_number() > self._rolled_up:
            self._rolled_up = self._catch_up(self._stores.local_rollups)
        return self._rolled_up

    def newly_repeated_ids(self) -> dict[str, int]:
        """Return, by model, the number of indexed predictions that repeated an id since the last call."""
        before, self._repeated_ids = self._repeated_ids, self._stores.spool.awaiting.repeated()
        return {model: count - before.get(model, 0) for model, count in self._repeated_ids.items()}

    def share(self) -> None:
        """Add the entries of the spool to the rollups of all machines, where they share a database."""
        if shared := self._stores.shared_rollups:
            self._catch_up(shared)

    def recount(self) -> Recounted:
        """Count all entries that this home gave to the log again, even if no counts are missing; return how many."""
        found = Recounted(0, 0)
        for rollups in self._stores.all_rollups:
            found = self._recount(rollups, only_if_lost=False) or found
            self._catch_up(rollups)
        return found

    def _catch_up(self, rollups: Rollups) -> int:
        spool = self._stores.spool
        try:
            return rollups.catch_up(spool, self._bins_for(rollups), task_of=self._task_of, slow_ms_of=self._slow_ms)
        except CountsLostError:
            self._recount(rollups, only_if_lost=True)
            return rollups.catch_up(spool, self._bins_for(rollups), task_of=self._task_of, slow_ms_of=self._slow_ms)

    def _recount(self, rollups: Rollups, *, only_if_lost: bool) -> Recounted | None:
        stores = self._stores
        found = recount(
            rollups,
            stores.spool,
            stores.log,
            self._bins_for(rollups),
            self._slow_ms,
            task_of=self._task_of,
            shared_log=stores.settings.log_url is not None,
            only_if_lost=only_if_lost,
        )
        if found is not None:
            self._tell_uncounted(found.left_out)
        return found

    def _tell_uncounted(self, left_out: Mapping[str, str]) -> None:
        """Open an alert for each model that could not be counted again, and resolve the alerts of the others."""
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
        """Record as left out the scorings that waited off the response path in workers that were killed."""
        shed_of_the_dead(self._stores.settings.home, self._stores.spool)

    def ship(self) -> int:
        """Move the entries of the spool to the log; return the number of rows."""
        return self._stores.log.ship(self._stores.spool)

    def tell_held(self) -> None:
        """Open an alert for each model whose log does not take its entries, and resolve the alerts that are over.

        Lost counts that could not be counted again because of that are counted again once it is over.
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
                reading=Reading(table.entries, limit=0, unit="entries"),
                since=table.oldest,
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
        """Return the tables whose entries the log does not take, by model; those of labels by the name of the table."""
        return {table.table.rpartition("/")[2]: table for table in self._stores.spool.held.tables()}

    def exchange_labels(self) -> bool:
        """Record labels, sent to other machines, of this machine's predictions; return whether there were any."""
        taken = self._stores.feedback.exchange()
        self._tell(taken)
        return bool(taken)

    def settle_labels(self) -> None:
        """Settle labels that no replica takes: find their predictions in the log, or count them as unmatched."""
        found, unmatched = self._stores.feedback.settle(self._stores.log, self._label_period)
        self._tell(found)
        for model, labels in unmatched.items():
            self._telemetry.labels.unmatched(model, labels)
        self._telemetry.labels.waiting(self._stores.feedback.waiting())

    def prune_labels(self) -> int:
        """Stop awaiting labels of predictions older than MLOPS_LABEL_DAYS; return the number of these predictions."""
        return self._stores.feedback.prune(self._label_period)

    def forget_old_counts(self) -> None:
        """Delete old counts of this machine where decisions read shared ones: retention itself deletes only those.

        Its record says from when on the shared ones are whole; a running rollout keeps its counts.
        """
        stores = self._stores
        if stores.shared_rollups is None:
            return
        for model, since in stores.retention.since().items():
            if model == FLEET:
                continue
            rollout = stores.rollouts.active(model)
            at = min([since[Kind.MINUTE_COUNTS], *([] if rollout is None else [rollout.started_at])])
            before: dict[Unit, datetime] = {"minute": at, "hour": at, "day": at}
            stores.local_rollups.forget_old(model, before, logged_since=None, salts=None)

    def flush(self, *, log: bool) -> dict[str, int]:
        """Bring all entries of the spool into the rollups (and, with `log`, the log); return counts of each step."""
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
        """Return the label debt of each model: its predictions whose label is still awaited."""
        rollups = self._stores.rollups
        return {model: rollups.label_debt(model, now - self._label_period, now) for model in rollups.models()}

    def _tell(self, labels: Iterable[Taken]) -> None:
        for taken in labels:
            self._telemetry.labels.received(taken.model, taken.result, self._tasks.of(taken.model) or UNKNOWN_TASK)

    def _bins_of(self, model: str, version: str) -> Mapping[str, Bins] | None:
        """Return the bins of a version that a worker has loaded, from the registry's last known state, or None."""
        key = (model, version)
        if key not in self._bins and (noted := self._last_known.version(model, version)) is not None:
            histograms = {} if noted.baseline is None else {**noted.baseline.features, "score": noted.baseline.score}
            self._bins[key] = {name: histogram.bins for name, histogram in histograms.items()} or None
        return self._bins.get(key)

    def _task_of(self, model: str, version: str) -> Task:
        """Return the task of a version; of one that is not known here, a classification of unknown classes."""
        return self._tasks.of_version(model, version) or UNKNOWN_TASK

    def read_slow_limits(self) -> None:
        """Note the limit of each model's published rollout policy above which a request is slow. Raises StorageError.

        A model whose policies cannot be read keeps its limit; the error is raised once all others are noted.
        """
        registry = self._stores.registry
        found: dict[str, float] = {}

        def read(model: str) -> None:
            found[model] = registry.policies(model).section("rollout", RolloutPolicy).slow_ms

        failures = for_each(registry.models(), read)
        self._last_known.note_slow_limits(found)
        if failures:
            raise failures[0]

    def _slow_ms(self, model: str) -> float:
        known = self._last_known.deployment(model)
        rollout = known.rollout if known is not None else None
        if rollout is not None:
            return rollout.policy.slow_ms
        published = self._last_known.slow_limit(model)
        return RolloutPolicy().slow_ms if published is None else published


def _no_bins(_model: str, _version: str) -> None:
    return None
