"""Requests as spans of OpenTelemetry. It imports the SDK: import this module only where it is used."""

import os
import time
from collections.abc import Iterator, Sequence

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.environment_variables import OTEL_TRACES_SAMPLER
from opentelemetry.sdk.resources import SERVICE_INSTANCE_ID, SERVICE_NAME, Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SpanExportResult
from opentelemetry.sdk.trace.sampling import Decision, ParentBased, Sampler, SamplingResult
from opentelemetry.trace import SpanContext, SpanKind, Status, StatusCode, TraceFlags

from mlops_dagster.predictions.records import microseconds
from mlops_dagster.serving.telemetry.tracing import Parent, Traced

_SERVICE = "mlops_dagster"
_ROUTE = "/v2/models/{model}/infer"  # with or without a version named: `mlops.role` tells
_PHASES = ("preprocess", "inference", "postprocess")
_SAMPLED = TraceFlags(TraceFlags.SAMPLED)
_NO_PARENT = Context()


class Few(Sampler):
    """A sampler of the first requests of every second; it must be called from one thread."""

    PER_SECOND = 10

    def __init__(self) -> None:
        self._second = 0
        self._taken = 0

    def should_sample(self, *_args: object, **_kwargs: object) -> SamplingResult:
        second = int(time.monotonic())
        if second != self._second:
            self._second, self._taken = second, 0
        self._taken += 1
        return SamplingResult(Decision.RECORD_AND_SAMPLE if self._taken <= self.PER_SECOND else Decision.DROP)

    def get_description(self) -> str:
        return f"{self.PER_SECOND} a second"


class Spans:
    """The sampler and the exporter that the environment variables of the SDK ask for."""

    def __init__(self, process: str) -> None:
        named = Resource.create({SERVICE_INSTANCE_ID: process})
        if str(named.attributes.get(SERVICE_NAME, "")).startswith("unknown_service"):
            named = named.merge(Resource({SERVICE_NAME: _SERVICE}))
        self._resource = named
        # The provider only reads the variables, and makes no spans: the ids of its spans are not known beforehand,
        # and the caller gets the id of ours before the span begins.
        own = None if os.environ.get(OTEL_TRACES_SAMPLER) else ParentBased(root=Few())
        self._sampler = TracerProvider(sampler=own, resource=named, shutdown_on_exit=False).sampler
        self._exporter = OTLPSpanExporter()

    def is_sampled(self, trace_id: str, parent: Parent | None) -> bool:
        """Return the sampler's decision on a request of this trace, whose caller's span is `parent`, if any."""
        context = _NO_PARENT
        if parent is not None:
            flags = _SAMPLED if parent.sampled else TraceFlags()
            of_caller = SpanContext(int(trace_id, 16), int(parent.span_id, 16), is_remote=True, trace_flags=flags)
            context = trace.set_span_in_context(trace.NonRecordingSpan(of_caller), context)
        found = self._sampler.should_sample(context, int(trace_id, 16), _SERVICE, SpanKind.SERVER)
        return found.decision is Decision.RECORD_AND_SAMPLE

    def export(self, batch: Sequence[Traced]) -> bool:
        """Send requests, each as up to four spans; return whether they arrived within the exporter's timeout."""
        spans = [span for traced in batch for span in self._of(traced)]
        return self._exporter.export(spans) is SpanExportResult.SUCCESS

    def close(self) -> None:
        """Shut down the exporter; an export under way is not tried again."""
        self._exporter.shutdown()  # type: ignore[no-untyped-call]  # it has no annotations

    def _of(self, traced: Traced) -> Iterator[ReadableSpan]:
        """Yield a span for each phase of the request, and then the span of the request, which contains them."""
        ids = traced.context
        trace_id = int(ids.trace_id, 16)
        own = SpanContext(trace_id, int(ids.span_id, 16), is_remote=False, trace_flags=_SAMPLED)
        parent = None
        if ids.parent_id is not None:
            parent = SpanContext(trace_id, int(ids.parent_id, 16), is_remote=True, trace_flags=_SAMPLED)
        failed = Status(StatusCode.ERROR, traced.error) if traced.status == "failed" else Status()
        begin = end = microseconds(traced.received_at) * 1000
        for name, ms in zip(_PHASES, (traced.preprocess_ms, traced.inference_ms, traced.postprocess_ms), strict=True):
            if ms is None:
                continue
            start, end = end, end + round(ms * 1e6)
            yield ReadableSpan(
                name,
                SpanContext(trace_id, int.from_bytes(os.urandom(8), "big"), is_remote=False, trace_flags=_SAMPLED),
                own,
                self._resource,
                attributes={"mlops.batch.requests": traced.batch} if name == "inference" else {},
                status=failed if name == "inference" else Status(),
                start_time=start,
                end_time=end,
            )
        yield ReadableSpan(
            f"POST {_ROUTE}",
            own,
            parent,
            self._resource,
            attributes=_attributes(traced),
            kind=SpanKind.SERVER,
            status=failed,
            start_time=begin,
            end_time=max(end, begin + round(traced.latency_ms * 1e6)),  # the phases are rounded one by one
        )


def _attributes(traced: Traced) -> dict[str, str | int]:
    attributes: dict[str, str | int] = {
        "http.request.method": "POST",
        "http.route": _ROUTE,
        "http.response.status_code": traced.http_status,
        "mlops.model": traced.model,
        "mlops.version": traced.version,
        "mlops.role": traced.role,
        "mlops.status": traced.status,
        "mlops.rows": traced.rows,
        "mlops.batch.requests": traced.batch,
    }
    return attributes if traced.error is None else {**attributes, "error.type": traced.error}
