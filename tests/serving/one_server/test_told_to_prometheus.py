"""What Prometheus is told by a real data plane."""

from tests.serving.test_telemetry import lint, parsed, value
from tests.support.serving.data_plane import Models, Server


def test_promtool_finds_no_fault_with_what_the_server_tells(server: Server, models: Models) -> None:
    models.champion("told")
    server.wait_in_force(models.stores, "told")
    answer = server.infer("told", rows=2).json()
    assert server.infer("told", carrier="ZZ").status_code == 500
    assert server.post("/v2/models/told/infer", {"inputs": []}).status_code == 400
    ids = next(output["data"] for output in answer["outputs"] if output["name"] == "prediction_id")
    server.post("/v1/models/told/feedback", {"labels": [{"prediction_id": ids[0], "label": "late"}]})
    unheard = {"labels": [{"prediction_id": ids[1], "label": "never heard of"}]}
    assert server.post("/v1/models/told/feedback", unheard).status_code == 400

    metrics = server.client.get("/metrics").content
    assert lint(metrics) == ""
    found = parsed(metrics.decode())
    arm = {"model": "told", "version": "1.0.0", "role": "champion"}
    assert value(found, "requests_total", **arm, status="ok") == 1
    assert value(found, "outputs_total", **arm, label="late") == 2
    assert value(found, "errors_total", **arm, code="model_failed") == 1
    assert value(found, "requests_total", **{**arm, "role": "none", "version": ""}, status="rejected") == 1
    assert value(found, "labelled_total", **arm, label="late", prediction="late", correct="true") == 1
    assert value(found, "labels_refused_total", model="told") == 1
    assert value(found, "labelled_total", **arm, label="other", prediction="late", correct="false") is None
    assert (value(found, "spool_free_bytes") or 0) > 1e6
    assert value(found, "version_ready", model="told", version="1.0.0") == 1
    assert (value(found, "process_resident_memory_bytes", process="worker-1") or 0) > 1e6
    assert (value(found, "process_resident_memory_bytes", process="housekeeper") or 0) > 1e6
