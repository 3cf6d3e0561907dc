"""Metrics of each batch, by model, version and role."""

from bisect import bisect_left
from collections import Counter as Tally
from collections.abc import Iterable, Mapping, Sequence
from typing import Final, get_args

from prometheus_client import CollectorRegistry, Counter, Histogram

from mlops_dagster.errors import (
    EventTimeError,
    InvalidFeaturesError,
    InvalidInputError,
    ModelFailedError,
    ModelTimeoutError,
    OnHoldError,
    StorageError,
    TooLargeError,
    TooSlowError,
    UnlikeTrainingError,
    UnsupportedContentError,
)
from mlops_dagster.predictions import SERVED, Status

ARM = ("model", "version", "role")

PHASES: Final = ("preprocess", "inference", "postprocess")

SCORING_CODES: Final = tuple(error.code for error in (ModelFailedError, ModelTimeoutError))
"""The errors of requests that a version was to score."""

REFUSAL_CODES: Final = tuple(
    error.code
    for error in (
        InvalidInputError,
        InvalidFeaturesError,
        UnlikeTrainingError,
        EventTimeError,
        TooLargeError,
        TooSlowError,
        UnsupportedContentError,
        OnHoldError,
        StorageError,
    )
)
"""The errors of requests that no version scores."""

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
        self.slow = Counter(
            "mlops_slow_requests",
            "Scored requests that took longer than `slow_ms` of the model's rollout policy",
            ARM,
            registry=registry,
        )
        self.seconds = BatchHistogram(
            "mlops_request_seconds", "Seconds from receipt to durable record", ARM, buckets=_SECONDS, registry=registry
        )
        self.phases = BatchHistogram(
            "mlops_phase_seconds",
            "Seconds of answered requests by phase: preprocess (with the wait for the batch), inference, postprocess",
            ("model", "version", "phase"),
            buckets=_SECONDS,
            registry=registry,
        )
        self.batch = Histogram(
            "mlops_batch_requests", "Requests of one arm scored together", ARM, buckets=_REQUESTS, registry=registry
        )
        self.outputs = Counter("mlops_outputs", "Rows by predicted label", (*ARM, "label"), registry=registry)


class ArmTelemetry:
    """The metrics of one version in one role, updated once a batch, off the event loop of the requests.

    All its counters begin at 0, so that Prometheus sees the first event of each as an increase; `labels` are the
    classes whose counts begin too.
    """

    def __init__(self, metrics: ArmMetrics, model: str, version: str, role: str, labels: Sequence[str] = ()) -> None:
        arm = (model, version, role)
        self._metrics = metrics
        self._arm = arm
        self._seconds = metrics.seconds.labels(*arm)
        self._status = {status: metrics.requests.labels(*arm, status) for status in get_args(Status)}
        self._slow = metrics.slow.labels(*arm)
        self._outputs = {label: metrics.outputs.labels(*arm, label) for label in labels}
        codes = REFUSAL_CODES if role == "none" else SCORING_CODES
        self._errors = {code: metrics.errors.labels(*arm, code) for code in codes}
        phases = PHASES if role in SERVED else ()
        self._phases = {phase: metrics.phases.labels(model, version, phase) for phase in phases}

    def answered(
        self,
        seconds: Sequence[float],
        labels: Iterable[str],
        failures: Sequence[str] = (),
        *,
        slow: int = 0,
        phases: Mapping[str, Sequence[float]] | None = None,
    ) -> None:
        """Count a scored batch: the `seconds` of each request, and the predicted `labels` of all rows together.

        `failures` are the codes of the errors, one for each request that failed; its seconds are among `seconds`.
        `slow` is the number of requests over the limit, and `phases` the seconds of each phase.
        """
        self._seconds.observe_all(seconds)
        self._metrics.batch.labels(*self._arm).observe(len(seconds))
        if slow:
            self._slow.inc(slow)
        if len(seconds) > len(failures):
            self._status["ok"].inc(len(seconds) - len(failures))
        for label, rows in Tally(labels).items():
            self._output(label).inc(rows)
        for phase, spent in (phases or {}).items():
            self._phase(phase).observe_all(spent)
        if failures:
            self._failed("failed", failures)

    def refused(self, status: Status, seconds: Sequence[float], codes: Sequence[str]) -> None:
        """Count requests that no version scored, with the codes of their errors."""
        self._seconds.observe_all(seconds)
        self._failed(status, codes)

    def _failed(self, status: Status, codes: Sequence[str]) -> None:
        self._status[status].inc(len(codes))
        for code, requests in Tally(codes).items():
            self._error(code).inc(requests)

    def _error(self, code: str) -> Counter:
        error = self._errors.get(code)
        if error is None:
            error = self._errors[code] = self._metrics.errors.labels(*self._arm, code)
        return error

    def _output(self, label: str) -> Counter:
        output = self._outputs.get(label)
        if output is None:
            output = self._outputs[label] = self._metrics.outputs.labels(*self._arm, label)
        return output

    def _phase(self, phase: str) -> BatchHistogram:
        found = self._phases.get(phase)
        if found is None:
            model, version, _ = self._arm
            found = self._phases[phase] = self._metrics.phases.labels(model, version, phase)
        return found
