"""Traces of requests, for OpenTelemetry: W3C Trace Context in and out, spans made after the answer.

The OpenTelemetry SDK is configured by its own variables (settings.py reads MLOPS_* only). Without
OTEL_EXPORTER_OTLP_ENDPOINT or OTEL_EXPORTER_OTLP_TRACES_ENDPOINT, or with OTEL_SDK_DISABLED=true or
OTEL_TRACES_EXPORTER=none, nothing is exported and the SDK is not imported. The other variables that count are
OTEL_EXPORTER_OTLP_* (headers, timeout, compression, certificates; OTLP over HTTP), OTEL_TRACES_SAMPLER with its _ARG,
OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES. If no sampler is named, the caller's decision holds, and of requests
without a caller's decision a few each second are traced: all of a quiet model, and few of a busy one.
"""

import logging
import os
import re
import threading
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, NamedTuple

from mlops_dagster.predictions import Role, Status
from mlops_dagster.serving.telemetry.telemetry import Telemetry

if TYPE_CHECKING:
    from mlops_dagster.serving.telemetry.spans import Spans

logger = logging.getLogger(__name__)

_ENDPOINTS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
_TRACEPARENT = re.compile(r"(?!ff)([0-9a-f]{2})-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")
_LONGEST_TRACEPARENT = 512

MAX_WAITING = 2_048
BATCH = 256
LINGER_SECONDS = 1.0
CLOSE_SECONDS = 5.0


class TraceContext(NamedTuple):
    """A request's place in a trace. Ids are hexadecimal: 32 digits for the trace, 16 for a span."""

    trace_id: str
    span_id: str  # of this request's own span
    parent_id: str | None  # the caller's span; None where the trace begins here
    sampled: bool  # the spans of this request are exported

    @property
    def traceparent(self) -> str:
        """The `traceparent` header, by which the caller finds the trace.

        >>> TraceContext("0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331", None, sampled=True).traceparent
        '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01'
        """
        return f"00-{self.trace_id}-{self.span_id}-{'01' if self.sampled else '00'}"


class Parent(NamedTuple):
    """The caller's span, as its `traceparent` header names it."""

    trace_id: str
    span_id: str
    sampled: bool


@dataclass(frozen=True, slots=True)
class Traced:
    """A finished request for a trace: received at `received_at`, finished `latency_ms` later.

    Its phases follow each other from `received_at` on; a phase that it did not reach is None.
    """

    context: TraceContext
    http_status: int
    received_at: datetime
    latency_ms: float
    preprocess_ms: float | None
    inference_ms: float | None
    postprocess_ms: float | None
    model: str
    version: str
    role: Role
    status: Status
    rows: int
    batch: int  # requests that were scored together; 0 if none was
    error: str | None = None


class Tracing:
    """The tracing of one process: it gives requests their ids, and exports the sampled ones from a separate thread.

    Traces that find the queue full, or whose export fails, are lost and counted: requests never wait for them.
    """

    def __init__(self, process: str, telemetry: Telemetry) -> None:
        self._telemetry = telemetry
        self._spans = _open_spans(process) if is_wanted(os.environ) else None
        self._waiting: deque[Traced] = deque()
        self._wake = threading.Event()
        self._stopping = False
        self._thread: threading.Thread | None = None
        if self._spans is not None:
            self._thread = threading.Thread(target=self._run, args=(self._spans,), name="traces", daemon=True)
            self._thread.start()

    def begin(self, traceparent: str | None) -> TraceContext:
        """Return the context of a new request with this header; a header that breaks W3C's rules counts as none."""
        ids = os.urandom(24).hex()
        parent = parse(traceparent) if traceparent is not None else None
        trace_id, parent_id = (ids[:32], None) if parent is None else parent[:2]
        sampled = self._spans is not None and self._spans.is_sampled(trace_id, parent)
        return TraceContext(trace_id, ids[32:], parent_id, sampled)

    def record(self, traced: Traced) -> None:
        """Queue a request for export if it is sampled; return at once."""
        if not traced.context.sampled:
            return
        if len(self._waiting) >= MAX_WAITING:
            self._telemetry.traces_lost(1)
            return
        self._waiting.append(traced)
        if len(self._waiting) >= BATCH:
            self._wake.set()

    def close(self) -> None:
        """Export the traces that wait, for at most CLOSE_SECONDS; traces that are not exported by then are lost."""
        if self._thread is None or self._spans is None:
            return
        self._stopping = True
        self._wake.set()
        self._thread.join(CLOSE_SECONDS)
        self._spans.close()
        self._telemetry.traces_lost(len(self._waiting))
        self._waiting.clear()
        self._thread = None

    def _run(self, spans: "Spans") -> None:
        last_round = False
        while not last_round:
            self._wake.wait(LINGER_SECONDS)
            self._wake.clear()
            last_round = self._stopping  # read before the queue is emptied: what was recorded by then is exported
            while batch := [self._waiting.popleft() for _ in range(min(BATCH, len(self._waiting)))]:
                self._export(spans, batch)

    def _export(self, spans: "Spans", batch: list[Traced]) -> None:
        try:
            exported = spans.export(batch)
        except BaseException:  # if the thread ended, no more traces would be exported
            logger.exception("a batch of traces could not be exported")
            exported = False
        if not exported:
            self._telemetry.traces_lost(len(batch))


def is_wanted(environment: Mapping[str, str]) -> bool:
    """Return whether the environment variables of the SDK ask for traces.

    >>> is_wanted({}), is_wanted({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318"})
    (False, True)
    """
    disabled = environment.get("OTEL_SDK_DISABLED", "").strip().lower() == "true"
    exporter = environment.get("OTEL_TRACES_EXPORTER", "otlp").strip().lower()
    return any(environment.get(name) for name in _ENDPOINTS) and not disabled and exporter != "none"


def parse(traceparent: str) -> Parent | None:
    """Return the caller's span in a `traceparent` header; None if that breaks the rules of W3C Trace Context.

    >>> parse("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
    Parent(trace_id='0af7651916cd43dd8448eb211c80319c', span_id='b7ad6b7169203331', sampled=True)
    >>> parse("00-00000000000000000000000000000000-b7ad6b7169203331-01") is None
    True
    """
    found = _TRACEPARENT.fullmatch(traceparent.strip(" \t")) if len(traceparent) <= _LONGEST_TRACEPARENT else None
    if found is None:
        return None
    version, trace_id, span_id, flags, more = found.groups()
    if version == "00" and more:
        return None
    return Parent(trace_id, span_id, sampled=bool(int(flags, 16) & 1))


def _open_spans(process: str) -> "Spans":
    from mlops_dagster.serving.telemetry.spans import Spans

    return Spans(process)
