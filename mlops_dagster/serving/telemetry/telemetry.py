"""The metrics of the data plane for Prometheus: requests, labels, queues, versions, failures, the spool.

With `PROMETHEUS_MULTIPROC_DIR` set before the process starts, prometheus_client keeps the numbers in files of that
folder, and every process that shares the folder gives the metrics of all: counters add up and outlive a process, a
gauge is removed when `forget` is called for its process. Without the variable a process gives its own metrics.
"""

import threading
from collections.abc import Iterable
from functools import partial

from prometheus_client import CollectorRegistry, Counter, Gauge, disable_created_metrics, generate_latest

from mlops_dagster.predictions import Role
from mlops_dagster.schema import ModelSchema
from mlops_dagster.serving.deployed.guard import REASONS, Violation
from mlops_dagster.serving.telemetry import fleet
from mlops_dagster.serving.telemetry.arms import ARM, ArmMetrics, ArmTelemetry
from mlops_dagster.serving.telemetry.labels import LabelMetrics, counted_classes
from mlops_dagster.serving.telemetry.process import ProcessMetrics, process_name, share_files
from mlops_dagster.serving.telemetry.shared import SharedMetrics
from mlops_dagster.serving.telemetry.spool import SpoolMetrics

_ROLES = ("worker", "housekeeper")
_DROPPED = ("full", "late", "memory", "malformed")
_OFF_PATH: tuple[Role, ...] = ("shadow", "paired")


class Telemetry:
    """The metrics of one process of the data plane.

    `process` names it among those that share a folder ("worker-0", "housekeeper"; by default its pid): two at a time
    may not have the same name. A process that starts again under its old name continues its counts.
    """

    def __init__(self, process: str | None = None) -> None:
        # The series `..._created` do not exist with several processes, and are not used.
        disable_created_metrics()  # type: ignore[no-untyped-call]  # it has no annotations
        name = process_name(process)
        self._folder = share_files(name)
        self._all = None if self._folder is None else SharedMetrics(self._folder)
        self._registry = registry = CollectorRegistry()
        self._process = ProcessMetrics(name, registry)
        self._arm_metrics = ArmMetrics(registry)
        self.labels = LabelMetrics(registry)
        self.spool = SpoolMetrics(registry)
        self._arms: dict[tuple[str, str, str], ArmTelemetry] = {}
        self._making = threading.Lock()
        version = ("model", "version")
        counter = partial(Counter, registry=registry)
        total = partial(Gauge, registry=registry, multiprocess_mode="livesum")
        highest = partial(Gauge, registry=registry, multiprocess_mode="livemax")
        lowest = partial(Gauge, registry=registry, multiprocess_mode="livemin")
        self._waiting = total(
            "mlops_waiting_requests", "Requests that waited for the next batch when the last one ended", version
        )
        self._queued = total("mlops_off_path_queue", "Scorings that wait off the response path")
        self._shed = counter("mlops_shed", "Scorings left out off the response path", ARM)
        self._epoch = lowest("mlops_deployment_epoch", "Lowest epoch in force among the workers", ("model",))
        self._ready = total("mlops_version_ready", "Workers in which the version is loaded and warm", version)
        self._load_failures = counter("mlops_version_load_failures", "Loads of a version that failed", version)
        self._unlike_training = counter(
            "mlops_unlike_training",
            "Rows with a value unlike the training data, refused or not",
            ("model", "feature", "reason"),
        )
        self._tripped = counter(
            "mlops_fuse_trips", "Canaries, and champions in their bake, that the fuse cut off", version
        )
        self._untold = highest(
            "mlops_fuse_untold",
            "Versions that the fuse has cut off, and that the registry does not know of yet; the most of any worker",
        )
        self._away = highest(
            "mlops_registry_away_seconds", "Seconds since a worker could last read the registry; 0 while it can be read"
        )
        self._restarts = counter("mlops_restarts", "Processes that were started again", ("role",))
        self._failures = counter("mlops_background_failures", "Failed rounds of background work", ("task",))
        self._traces_lost = counter("mlops_traces_lost", "Sampled traces that could not be exported")
        self._connections = total("mlops_connections", "Open connections")
        self._dropped = counter(
            "mlops_connections_dropped",
            "Connections ended by the front door, by reason: full, late (head, body or idle), memory, malformed",
            ("reason",),
        )

        for role in _ROLES:
            self._restarts.labels(role)
        for reason in _DROPPED:
            self._dropped.labels(reason)

    def arm(self, model: str, version: str, role: str) -> ArmTelemetry:
        """Return the metrics of one version in one role, made on the first call; cheap enough to call each time."""
        key = (model, version, role)
        arm = self._arms.get(key)
        if arm is None:
            with self._making:
                arm = self._arms.setdefault(key, ArmTelemetry(self._arm_metrics, *key))
        return arm

    def waiting(self, model: str, version: str, requests: int) -> None:
        """Set the number of requests that wait for the next batch of a version, at the end of each batch."""
        self._waiting.labels(model, version).set(requests)

    def queued(self, scorings: int) -> None:
        """Set the number of scorings that wait off the response path."""
        self._queued.set(scorings)

    def shed(self, model: str, version: str, role: str, scorings: int) -> None:
        """Count scorings that were left out off the response path."""
        self._shed.labels(model, version, role).inc(scorings)

    def unlike_training(self, model: str, violations: Iterable[Violation]) -> None:
        """Count the rows of a request that the guard found unlike the training data, by feature and reason."""
        for feature, reason, rows, *_ in violations:
            self._unlike_training.labels(model, feature, reason).inc(rows)

    def begin(self, model: str, arms: Iterable[tuple[str, Role, ModelSchema]]) -> None:
        """Begin the counters of a model at 0: those of its arms (version, role, schema), and of requests no arm scores.

        Cheap enough to call each time that the arms may have changed.
        """
        if (model, "", "none") not in self._arms:
            self.arm(model, "", "none")
            self.labels.begin(model)
        for version, role, schema in arms:
            key = (model, version, role)
            if key in self._arms:
                continue
            with self._making:
                self._arms[key] = ArmTelemetry(self._arm_metrics, *key, counted_classes(schema.task))
            self.labels.begin_arm(*key, schema.task)
            if role in _OFF_PATH:
                self._shed.labels(*key)
            if role == "champion":
                for feature in schema.features:
                    self._unlike_training.labels(model, feature.name, REASONS[feature.kind])

    def in_force(self, model: str, epoch: int) -> None:
        """Set the epoch in force of a model."""
        self._epoch.labels(model).set(epoch)

    def loading(self, model: str, version: str) -> None:
        """Begin the counts of a version's failed loads and of its fuse at 0."""
        self._load_failures.labels(model, version)
        self._tripped.labels(model, version)

    def loaded(self, model: str, version: str, *, ready: bool) -> None:
        """Note the end of a version's load; count it as a failure unless the version is `ready`."""
        self._ready.labels(model, version).set(ready)
        if not ready:
            self._load_failures.labels(model, version).inc()

    def unloaded(self, model: str, version: str) -> None:
        self._ready.labels(model, version).set(0)

    def tripped(self, model: str, version: str) -> None:
        """Count a version that the fuse has cut off."""
        self._tripped.labels(model, version).inc()

    def untold(self, versions: int) -> None:
        """Set the number of versions that the fuse has cut off, and that the registry does not know of yet."""
        self._untold.set(versions)

    def registry_away(self, seconds: float) -> None:
        """Set the seconds since this process could last read the registry; 0 while it can."""
        self._away.set(seconds)

    def restarted(self, role: str) -> None:
        self._restarts.labels(role).inc()

    def begin_task(self, task: str) -> None:
        """Begin the count of failures of some background work at 0."""
        self._failures.labels(task)

    def failed(self, task: str) -> None:
        """Count a failed round of background work."""
        self._failures.labels(task).inc()

    def traces_lost(self, traces: int) -> None:
        self._traces_lost.inc(traces)

    def connected(self, connections: int) -> None:
        """Set the number of open connections."""
        self._connections.set(connections)

    def dropped(self, reason: str) -> None:
        """Count a connection that the front door has ended for `reason`."""
        self._dropped.labels(reason).inc()

    def tell_fleet(self, text: bytes) -> None:
        """Have `/metrics` of every process end with `text`; nothing happens where processes share no metrics."""
        if self._folder is not None:
            fleet.write(self._folder, text)

    def measure(self) -> None:
        """Measure memory and CPU time of this process; call it every few seconds."""
        self._process.measure()

    def exposition(self) -> bytes:
        """Return the metrics of all processes that share the folder as text for Prometheus; takes milliseconds."""
        self.measure()
        if self._folder is None or self._all is None:
            return generate_latest(self._registry)
        return self._all.text() + fleet.read(self._folder)
