"""What the data plane tells Prometheus."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest

# 0.5 ms to 10 s; steps of about 2.
_SECONDS = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)
_ROWS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512)


class Telemetry:
    """The metrics of one data plane, in a registry of its own."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)
        arm = ("model", "version", "role")
        self._requests = Counter(
            "mlops_requests", "Requests by what became of them", (*arm, "status"), registry=self._registry
        )
        self._seconds = Histogram(
            "mlops_request_seconds",
            "From receipt to the durable record",
            arm,
            buckets=_SECONDS,
            registry=self._registry,
        )
        self._batch = Histogram(
            "mlops_batch_requests", "Requests scored together", ("model",), buckets=_ROWS, registry=self._registry
        )
        self._labels = Counter("mlops_labels", "Labels received", ("model", "outcome"), registry=self._registry)
        self._shed = Counter(
            "mlops_shed", "Scorings off the response path that were left out", ("model",), registry=self._registry
        )
        self._failures = Counter(
            "mlops_background_failures", "Failed rounds of background work", ("task",), registry=self._registry
        )
        self._tripped = Counter("mlops_fuse_trips", "Canaries the fuse cut off", ("model",), registry=self._registry)
        self._restarts = Counter(
            "mlops_restarts", "Processes that were started again", ("role",), registry=self._registry
        )
        self._ready = Gauge(
            "mlops_version_ready", "1 when loaded, 0 when it cannot be", ("model", "version"), registry=self._registry
        )
        self._epoch = Gauge("mlops_deployment_epoch", "Epoch in force", ("model",), registry=self._registry)
        self._queued = Gauge(
            "mlops_off_path_queue", "Scorings off the response path that wait", registry=self._registry
        )
        self._spooled = Gauge("mlops_spool_entries", "Records not yet in the log", registry=self._registry)

    def answered(self, model: str, version: str, role: str, status: str, seconds: float) -> None:
        self._requests.labels(model, version, role, status).inc()
        self._seconds.labels(model, version, role).observe(seconds)

    def batched(self, model: str, requests: int) -> None:
        self._batch.labels(model).observe(requests)

    def labelled(self, model: str, accepted: int, corrections: int, unknown: int) -> None:
        for outcome, count in (
            ("first", accepted - corrections), ("correction", corrections), ("unknown", unknown),
        ):  # fmt: skip
            self._labels.labels(model, outcome).inc(count)

    def shed(self, model: str, scorings: int) -> None:
        self._shed.labels(model).inc(scorings)

    def failed(self, task: str) -> None:
        self._failures.labels(task).inc()

    def restarted(self, role: str) -> None:
        self._restarts.labels(role).inc()

    def tripped(self, model: str) -> None:
        self._tripped.labels(model).inc()

    def loaded(self, model: str, version: str, *, ready: bool) -> None:
        self._ready.labels(model, version).set(ready)

    def unloaded(self, model: str, version: str) -> None:
        self._ready.remove(model, version)

    def in_force(self, model: str, epoch: int) -> None:
        self._epoch.labels(model).set(epoch)

    def queued(self, scorings: int) -> None:
        self._queued.set(scorings)

    def spooled(self, records: int) -> None:
        self._spooled.set(records)

    def exposition(self) -> bytes:
        """The text format of Prometheus."""
        return generate_latest(self._registry)
