"""A real data plane whose requests are read back from a real receiver of traces."""

from datetime import timedelta

import pytest

from mlops_dagster.clock import SystemClock
from mlops_dagster.serving.telemetry.tracing import parse
from tests.support.mlflow_server import MlflowServer
from tests.support.serving.data_plane import ForkedServer, Models, request

HOUR = timedelta(hours=1)
TRACE, CALLER = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"


@pytest.fixture(scope="module")
def models(sklearn_models: Models) -> Models:
    return sklearn_models


def test_a_request_is_found_by_the_trace_of_its_caller_its_answer_and_its_record(
    models: Models, mlflow_server: MlflowServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mlflow import MlflowClient

    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", mlflow_server.address)
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "x-mlflow-experiment-id=0")
    models.champion("traced")
    server = ForkedServer(models.stores.settings.home)
    server.wait_in_force(models.stores, "traced")
    header = {"traceparent": f"00-{TRACE}-{CALLER}-01"}
    path = "/v2/models/traced/infer"
    fine = server.client.post(path, json=request(rows=2), headers=header)
    broken = server.client.post(path, json=request(carrier="ZZ"))
    refused = server.client.post(path, json={"inputs": []})
    assert [answer.status_code for answer in (fine, broken, refused)] == [200, 500, 400]
    assert server.stop() == 0, "what is recorded by then is exported by then"

    contexts = [parse(answer.headers["traceparent"]) for answer in (fine, broken, refused)]
    assert contexts[0] is not None
    assert (contexts[0].trace_id, contexts[0].sampled) == (TRACE, True)
    client = MlflowClient(tracking_uri=mlflow_server.address)
    whole = {"preprocess", "inference", "postprocess"}
    for context, names in zip(contexts, (whole, whole, {"preprocess"}), strict=True):
        assert context is not None
        spans = {span.name: span for span in client.get_trace(f"tr-{context.trace_id}").data.spans}
        root = spans.pop("POST /v2/models/{model}/infer")
        assert root.span_id == context.span_id
        assert set(spans) == names
        for span in spans.values():
            assert span.parent_id == root.span_id
            assert root.start_time_ns <= span.start_time_ns <= span.end_time_ns <= root.end_time_ns
    now = SystemClock().now()
    log = models.stores.log.read("traced", now - HOUR, now + HOUR, ["trace_id", "status"])
    ids = [context.trace_id for context in contexts if context is not None]
    assert sorted(map(tuple, (row.values() for row in log.to_pylist()))) == sorted(
        [(ids[0], "ok"), (ids[0], "ok"), (ids[1], "failed"), (ids[2], "rejected")]
    )
