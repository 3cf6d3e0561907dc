"""Trace context by W3C's rules, and spans read back from a real receiver."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from opentelemetry import trace
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from mlops_dagster.serving.telemetry import tracing as module
from mlops_dagster.serving.telemetry.telemetry import Telemetry
from mlops_dagster.serving.telemetry.tracing import Parent, TraceContext, Traced, Tracing, parse
from tests.support.mlflow_server import MlflowServer

TRACE, CALLER = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
AT = datetime(2026, 1, 1, 12, tzinfo=UTC)

hexadecimal = st.text("0123456789abcdef", min_size=1)
odd = st.sampled_from(["0" * 32, "0" * 16, "00", "ff", "01", "A" * 16, "", "xyz", TRACE, CALLER])
fields = st.one_of(hexadecimal, odd)


@example(f"00-{TRACE}-{CALLER}-01")
@example(f"00-{TRACE}-{CALLER}-01-more")
@example(f"01-{TRACE}-{CALLER}-01-more")
@example(f"ff-{TRACE}-{CALLER}-01")
@example(f"00-{TRACE.upper()}-{CALLER}-01")
@example(f"00-{TRACE}-{CALLER}-02")
@example(f" 00-{TRACE}-{CALLER}-01\t")
@example(f"01-{TRACE}-{CALLER}-01-{'x' * 500}")
@given(
    st.one_of(
        st.from_regex(r"[ \t]?[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}(-[a-z]{0,3})?[ ]?", fullmatch=True),
        st.lists(fields, min_size=3, max_size=5).map("-".join),
        st.builds(
            "{}-{}-{}-{}".format, st.sampled_from(["00", "01", "ff"]), odd, odd, st.sampled_from(["00", "01", "03"])
        ),
    )
)
def test_what_a_caller_says_is_read_as_opentelemetry_reads_it(header: str) -> None:
    context = TraceContextTextMapPropagator().extract({"traceparent": header})
    expected = trace.get_current_span(context).get_span_context()
    found = parse(header)
    assert (found is not None) == expected.is_valid
    if found is not None:
        ids = (trace.format_trace_id(expected.trace_id), trace.format_span_id(expected.span_id))
        assert found == Parent(*ids, sampled=expected.trace_flags.sampled)


def traced(context: TraceContext, **changes: object) -> Traced:
    values: dict[str, object] = {
        "http_status": 200,
        "received_at": AT,
        "latency_ms": 6.0,
        "preprocess_ms": 1.5,
        "inference_ms": 4.0,
        "postprocess_ms": 0.25,
        "model": "flights",
        "version": "1.0.0",
        "role": "canary",
        "status": "ok",
        "rows": 3,
        "batch": 16,
    }
    return Traced(context, **{**values, **changes})  # type: ignore[arg-type]  # one dictionary of several types


@pytest.fixture
def start(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Tracing]]:
    """Starts tracing as an operator configures it."""
    begun: list[Tracing] = []
    for name in list(os.environ):
        if name.startswith("OTEL_"):
            monkeypatch.delenv(name)

    def start(telemetry: Telemetry | None = None, **environment: str) -> Tracing:
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        begun.append(Tracing("process-1", telemetry or Telemetry()))
        return begun[-1]

    yield start
    for each in begun:
        each.close()


@pytest.fixture
def nobody() -> Iterator[str]:
    """The address of a receiver that takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"


def test_a_request_without_a_caller_begins_a_trace_and_one_with_a_caller_joins_it(
    start: Callable[..., Tracing],
) -> None:
    tracing = start()
    first, second = tracing.begin(None), tracing.begin("00-not-a-header")
    assert first.parent_id is second.parent_id is None
    assert len({first.trace_id, second.trace_id, first.span_id, second.span_id}) == 4
    joined = tracing.begin(f"00-{TRACE}-{CALLER}-01")
    assert (joined.trace_id, joined.parent_id) == (TRACE, CALLER)
    told = parse(joined.traceparent)
    assert told == Parent(TRACE, joined.span_id, sampled=False), "nothing is exported, and the caller is told so"


def test_without_an_endpoint_the_sdk_is_not_even_imported() -> None:
    program = (
        "import sys\n"
        "from mlops_dagster.serving.telemetry.telemetry import Telemetry\n"
        "from mlops_dagster.serving.telemetry.tracing import Tracing\n"
        "tracing = Tracing('p', Telemetry())\n"
        f"assert not tracing.begin('00-{TRACE}-{CALLER}-01').sampled\n"
        "tracing.close()\n"
        "print([name for name in sys.modules if name.startswith('opentelemetry')])\n"
    )
    environment = {name: value for name, value in os.environ.items() if not name.startswith("OTEL_")}
    found = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


def test_the_caller_decides_and_of_the_others_a_few_each_second_are_sampled(
    start: Callable[..., Tracing], nobody: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mlops_dagster.serving.telemetry.spans import Few

    tracing = start(OTEL_EXPORTER_OTLP_ENDPOINT=nobody)
    monkeypatch.setattr("time.monotonic", lambda: 7.5)
    assert sum(tracing.begin(None).sampled for _ in range(1_000)) == Few.PER_SECOND
    assert all(tracing.begin(f"00-{TRACE}-{CALLER}-01").sampled for _ in range(100))
    assert not any(tracing.begin(f"00-{TRACE}-{CALLER}-00").sampled for _ in range(100))
    monkeypatch.setattr("time.monotonic", lambda: 8.5)
    assert tracing.begin(None).sampled


def test_the_sampler_that_the_operator_names_holds(start: Callable[..., Tracing], nobody: str) -> None:
    ratio = {"OTEL_TRACES_SAMPLER": "parentbased_traceidratio", "OTEL_TRACES_SAMPLER_ARG": "0.25"}
    tracing = start(OTEL_EXPORTER_OTLP_ENDPOINT=nobody, **ratio)
    # binomial(4000, 0.25): five standard deviations are 137
    assert sum(tracing.begin(None).sampled for _ in range(4_000)) == pytest.approx(1_000, abs=140)
    assert tracing.begin(f"00-{TRACE}-{CALLER}-01").sampled
    assert not start(OTEL_TRACES_SAMPLER="always_off").begin(f"00-{TRACE}-{CALLER}-01").sampled


def test_a_receiver_that_is_away_makes_nobody_wait_and_what_is_lost_is_counted(
    start: Callable[..., Tracing], nobody: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "CLOSE_SECONDS", 0.2)
    telemetry = Telemetry()
    tracing = start(telemetry, OTEL_EXPORTER_OTLP_ENDPOINT=nobody, OTEL_EXPORTER_OTLP_TIMEOUT="60")
    context = tracing.begin(f"00-{TRACE}-{CALLER}-01")
    begun = time.perf_counter()
    for _ in range(module.MAX_WAITING * 2):
        tracing.record(traced(context))
    assert time.perf_counter() - begun < 1
    assert len(tracing._waiting) <= module.MAX_WAITING
    tracing.close()
    assert time.perf_counter() - begun < 5, "the process ends all the same"
    lost = next(line for line in telemetry.exposition().decode().splitlines() if line.startswith("mlops_traces_lost"))
    # What was on its way when the process ended counts when its export gives up, which nobody waits for.
    assert float(lost.split()[1]) >= 2 * module.MAX_WAITING - module.BATCH


def test_spans_are_read_back_from_a_real_receiver(start: Callable[..., Tracing], mlflow_server: MlflowServer) -> None:
    from mlflow import MlflowClient

    telemetry = Telemetry()
    tracing = start(
        telemetry,
        OTEL_EXPORTER_OTLP_ENDPOINT=mlflow_server.address,
        OTEL_EXPORTER_OTLP_HEADERS="x-mlflow-experiment-id=0",
    )
    fine = tracing.begin(f"00-{TRACE}-{CALLER}-01")
    broken = tracing.begin(None)
    refused = tracing.begin(None)
    tracing.record(traced(fine))
    tracing.record(traced(broken, http_status=500, postprocess_ms=None, status="failed", error="model_failed"))
    tracing.record(traced(refused, http_status=400, inference_ms=None, postprocess_ms=None, status="rejected", batch=0))
    tracing.close()
    assert "mlops_traces_lost_total 0.0" in telemetry.exposition().decode()

    client = MlflowClient(tracking_uri=mlflow_server.address)
    spans = {
        context: {span.name: span for span in client.get_trace(f"tr-{context.trace_id}").data.spans}
        for context in (fine, broken, refused)
    }
    request = "POST /v2/models/{model}/infer"
    assert set(spans[fine]) == {request, "preprocess", "inference", "postprocess"}
    root = spans[fine][request]
    assert (root.span_id, root.parent_id) == (fine.span_id, CALLER)
    wanted = {"mlops.model": "flights", "mlops.version": "1.0.0", "mlops.role": "canary", "mlops.rows": 3}
    wanted |= {"mlops.status": "ok", "mlops.batch.requests": 16, "http.response.status_code": 200}
    assert wanted.items() <= root.attributes.items()

    begin = int(AT.timestamp()) * 10**9
    assert (root.start_time_ns, root.end_time_ns) == (begin, begin + 6_000_000)
    for name, start_us, end_us in (("preprocess", 0, 1500), ("inference", 1500, 5500), ("postprocess", 5500, 5750)):
        span = spans[fine][name]
        assert span.parent_id == fine.span_id
        assert (span.start_time_ns - begin, span.end_time_ns - begin) == (start_us * 1000, end_us * 1000)
    assert len({span.span_id for span in spans[fine].values()}) == 4

    assert set(spans[broken]) == {request, "preprocess", "inference"}
    assert spans[broken][request].parent_id is None
    assert spans[broken][request].attributes["error.type"] == "model_failed"
    assert {name: span.status.status_code.value for name, span in spans[broken].items()} == {
        request: "ERROR",
        "preprocess": "UNSET",
        "inference": "ERROR",
    }
    assert set(spans[refused]) == {request, "preprocess"}
