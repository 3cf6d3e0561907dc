"""Metrics of each batch, by model, version and role."""

from bisect import bisect_left
from collections import Counter as Tally
from collections.abc import Iterable, Sequence
from typing import get_args

from prometheus_client import CollectorRegistry, Counter, Histogram

from mlops_dagster.predictions import Refusal, Status

ARM = ("model", "version", "role")

# 0.5 ms to 10 s; steps of about 2.
_SECONDS = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)
_REQUESTS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512)


class BatchHistogram(Histogram):
    """A histogram that takes many values at once: one addition a bucket, not two a value.

    It writes to the private buckets of Histogram; a test compares it with `observe`.
    """

    def observe_all(self, values: Sequence[float]) -> None:
        """Observe each of the values."""
        self._sum.inc(sum(values))
        bounds = self._upper_bounds
        for bucket, count in Tally([bisect_left(bounds, value) for value in values]).items():
            self._buckets[bucket].inc(count)


class ArmMetrics:
    """The metrics of all arms."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.requests = Counter(
            "mlops_requests",
            "Inference requests by outcome (ok, failed, rejected, held)",
            (*ARM, "status"),
            registry=registry,
        )
        self.errors = Counter(
            "mlops_errors",
            "Inference requests that failed, were rejected or held, by error",
            (*ARM, "code"),
            registry=registry,
        )
        self.seconds = BatchHistogram(
            "mlops_request_seconds", "Seconds from receipt to durable record", ARM, buckets=_SECONDS, registry=registry
        )
        self.batch = Histogram(
            "mlops_batch_requests", "Requests of one arm scored together", ARM, buckets=_REQUESTS, registry=registry
        )
        self.outputs = Counter("mlops_outputs", "Rows by predicted label", (*ARM, "label"), registry=registry)


class ArmTelemetry:
    """The metrics of one version in one role, updated once a batch, off the event loop of the requests."""

    def __init__(self, metrics: ArmMetrics, model: str, version: str, role: str) -> None:
        arm = (model, version, role)
        self._metrics = metrics
        self._arm = arm
        self._seconds = metrics.seconds.labels(*arm)
        self._batch = metrics.batch.labels(*arm)
        self._status = {status: metrics.requests.labels(*arm, status) for status in get_args(Status)}
        self._outputs: dict[str, Counter] = {}

    def answered(self, seconds: Sequence[float], labels: Iterable[str], failures: Sequence[str] = ()) -> None:
        """Count a scored batch: the `seconds` of each request, and the predicted `labels` of all rows together.

        `failures` are the codes of the errors, one for each request that failed; its seconds are among `seconds`.
        """
        self._seconds.observe_all(seconds)
        self._batch.observe(len(seconds))
        if len(seconds) > len(failures):
            self._status["ok"].inc(len(seconds) - len(failures))
        for label, rows in Tally(labels).items():
            self._output(label).inc(rows)
        if failures:
            self._failed("failed", failures)

    def refused(self, status: Refusal, seconds: Sequence[float], codes: Sequence[str]) -> None:
        """Count requests that no version scored, with the codes of their errors."""
        self._seconds.observe_all(seconds)
        self._failed(status, codes)

    def _failed(self, status: Status, codes: Sequence[str]) -> None:
        self._status[status].inc(len(codes))
        for code, requests in Tally(codes).items():
            self._metrics.errors.labels(*self._arm, code).inc(requests)

    def _output(self, label: str) -> Counter:
        output = self._outputs.get(label)
        if output is None:
            output = self._outputs[label] = self._metrics.outputs.labels(*self._arm, label)
        return output
