"""A real data plane over HTTP. Each test has a model of its own; one server serves them all."""

import os
import subprocess
import sys
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from skl2onnx import convert_sklearn
from skl2onnx.common.data_types import FloatTensorType, StringTensorType
from sklearn.pipeline import Pipeline

from mlops_dagster.clock import SystemClock
from mlops_dagster.predictions import BothScored, Pair, PairedCounts
from mlops_dagster.registry import Stage
from mlops_dagster.rollout import Phase, RolloutPolicy
from tests.support.serving.data_plane import (
    CARD,
    CARRIERS,
    NOW,
    SCHEMA,
    WIDER,
    Models,
    Server,
    eventually,
    make_baseline,
    make_frame,
    request,
)

INPUTS: list[Any] = request()["inputs"]  # type: ignore[assignment]  # the value is a list
MINUTE = timedelta(minutes=1)


def logged(models: Models, model: str, *columns: str) -> list[dict[str, Any]]:
    roles = ("champion", "canary", "shadow", "paired", "named", "none")
    now = SystemClock().now()
    table: pa.Table = models.stores.log.read(model, now - 60 * MINUTE, now + MINUTE, list(columns), roles)
    rows: list[dict[str, Any]] = table.to_pylist()
    return rows


def outputs(answer: dict[str, Any]) -> dict[str, list[Any]]:
    return {output["name"]: output["data"] for output in answer["outputs"]}


def test_infer_answers_as_the_estimator_does_and_logs_what_it_was_given(server: Server, models: Models) -> None:
    champion = models.champion("infer")
    server.wait_in_force(models.stores, "infer")
    rows = make_frame(SCHEMA, 20)
    content = {
        "inputs": [
            {"name": "delay", "shape": [20], "datatype": "FP64", "data": rows["delay"].tolist()},
            {"name": "distance", "shape": [20, 1], "datatype": "FP64", "data": rows["distance"].tolist()},
            {"name": "carrier", "shape": [20], "datatype": "BYTES", "data": rows["carrier"].tolist()},
        ]
    }
    answer = server.post("/v2/models/infer/infer", content).json()
    expected = models.stores.registry.load(champion)
    assert (answer["model_name"], answer["model_version"]) == ("infer", "1.0.0")
    assert answer["parameters"] == {"role": "champion"}
    assert outputs(answer)["label"] == expected.predict(rows).tolist()
    late = expected.classes_.tolist().index("late")
    assert outputs(answer)["score"] == pytest.approx(expected.predict_proba(rows)[:, late], abs=1e-12)

    server.flush()
    columns = ("prediction_id", "row", "feature_delay", "feature_carrier", "prediction", "score", "status", "version")
    by_row = sorted(logged(models, "infer", *columns), key=lambda row: row["row"])
    assert [row["prediction_id"] for row in by_row] == outputs(answer)["prediction_id"]
    assert [row["feature_delay"] for row in by_row] == rows["delay"].tolist()
    assert [row["feature_carrier"] for row in by_row] == rows["carrier"].tolist()
    assert [row["score"] for row in by_row] == outputs(answer)["score"]
    assert {(row["status"], row["version"]) for row in by_row} == {("ok", "1.0.0")}


def test_an_onnx_version_answers_as_its_skops_twin(
    server: Server, models: Models, estimators: Mapping[tuple[str, float], Pipeline], tmp_path: Path
) -> None:
    twin = estimators[SCHEMA.digest, 15.0]
    inputs = [("carrier", StringTensorType([None, 1]))]
    inputs += [(name, FloatTensorType([None, 1])) for name in ("delay", "distance")]
    (tmp_path / "model").write_bytes(convert_sklearn(twin, initial_types=inputs).SerializeToString())
    models.champion("twins", "1.0.0")
    registry = models.stores.registry
    version = registry.register(
        "twins", tmp_path / "model", "1.0.1", schema=SCHEMA, card=CARD, baseline=make_baseline(SCHEMA)
    )
    asked = [request(delay=float(delay), carrier=carrier) for delay in range(-20, 60, 7) for carrier in CARRIERS]

    def answers() -> list[dict[str, list[Any]]]:
        server.wait_in_force(models.stores, "twins")
        return [outputs(server.post("/v2/models/twins/infer", one).json()) for one in asked]

    of_skops = answers()
    registry.transition(version, Stage.PRODUCTION)
    of_onnx = answers()
    assert server.infer("twins").json()["model_version"] == "1.0.1"
    assert [one["label"] for one in of_onnx] == [one["label"] for one in of_skops]
    assert {label for one in of_onnx for label in one["label"]} == {"on_time", "late"}
    scores = [[score for one in of for score in one["score"]] for of in (of_onnx, of_skops)]
    assert scores[0] == pytest.approx(scores[1], abs=1e-5)


def test_metadata_health_and_metrics(server: Server, models: Models) -> None:
    models.champion("described")
    server.wait_in_force(models.stores, "described")
    assert server.client.get("/v2").json()["name"] == "mlops_dagster"
    assert server.client.get("/v2/health/live").json() == {"live": True}
    described = server.client.get("/v2/models/described").json()
    assert described["versions"] == ["1.0.0"]
    assert [(entry["name"], entry["datatype"]) for entry in described["inputs"]] == [
        ("delay", "FP64"),
        ("distance", "FP64"),
        ("carrier", "BYTES"),
    ]
    assert server.client.get("/v2/models/described/ready").json()["ready"]
    server.infer("described")
    metrics = server.client.get("/metrics").text
    assert 'mlops_requests_total{model="described",role="champion",status="ok",version="1.0.0"} 1.0' in metrics
    epoch = models.stores.registry.deployment("described").epoch
    assert f'mlops_deployment_epoch{{model="described"}} {epoch}.0' in metrics


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("/v2/models/nobody/infer", "model_not_found"),
        ("/v2/models/known/versions/9.9.9/infer", "version_not_found"),
        ("/v2/nothing", "not_found"),
    ],
)
def test_what_is_not_there_is_a_404_with_its_code(server: Server, models: Models, path: str, code: str) -> None:
    if path.startswith("/v2/models/known") and "known" not in models.stores.registry.models():
        models.champion("known")
        server.wait_in_force(models.stores, "known")
    answer = server.post(path, request())
    assert (answer.status_code, answer.json()["code"]) == (404, code)


def test_a_named_version_bypasses_the_split_and_is_no_evidence(server: Server, models: Models) -> None:
    models.champion("named")
    models.register("named", "1.1.0", threshold=30.0)
    models.canary("named", "1.2.0", 0.5)
    server.wait_in_force(models.stores, "named")
    by_path = server.post("/v2/models/named/versions/1.1.0/infer", request(delay=25.0)).json()
    by_parameter = server.infer("named", delay=25.0, parameters={"version": "1.1.0"}).json()
    forced = server.infer("named", parameters={"arm": "canary"}).json()
    assert by_path["model_version"] == by_parameter["model_version"] == "1.1.0"
    assert outputs(by_path)["label"] == ["on_time"]
    assert forced["model_version"] == "1.2.0"
    server.flush()
    assert {row["role"] for row in logged(models, "named", "role")} == {"named"}


def test_ready_says_what_a_request_gets_for_every_version_that_answers(server: Server, models: Models) -> None:
    """By whatever spelling, and also one that only answers when it is asked for by name."""
    models.champion("spelt")
    models.register("spelt", "1.1.0", threshold=30.0)
    old = models.register("spelt", "1.2.0")
    models.stores.registry.transition(old, Stage.DEPRECATED)
    server.wait_in_force(models.stores, "spelt")
    for version, answers in (
        ("1.0.0", "1.0.0"),
        ("v1.0.0", "1.0.0"),
        ("1.1.0", "1.1.0"),
        ("v1.1.0", "1.1.0"),
        ("1.2.0", None),
        ("9.9.9", None),
        ("one", None),
    ):
        ready = server.client.get(f"/v2/models/spelt/versions/{version}/ready")
        found = server.post(f"/v2/models/spelt/versions/{version}/infer", request())
        assert (ready.status_code == 200) == (found.status_code == 200) == (answers is not None), (version, ready.text)
        assert ready.json().get("version") == found.json().get("model_version") == answers


def test_a_deprecated_version_is_kept_and_not_loaded(server: Server, models: Models) -> None:
    models.champion("ageing")
    old = models.register("ageing", "1.1.0")
    models.stores.registry.transition(old, Stage.DEPRECATED)
    server.wait_in_force(models.stores, "ageing")
    answer = server.post("/v2/models/ageing/versions/1.1.0/infer", request())
    assert (answer.status_code, answer.json()["code"]) == (404, "version_not_found")
    assert "is deprecated: it is kept, and served no more" in answer.json()["error"]


@pytest.mark.parametrize(
    ("change", "reason", "was_read"),
    [
        ({"inputs": INPUTS[:2]}, "'carrier' is missing", True),
        ({"inputs": [{**INPUTS[0], "data": ["late"]}, *INPUTS[1:]]}, "value 'late', which is not FP64", False),
        ({"inputs": [*INPUTS, {**INPUTS[0], "name": "x"}]}, "unknown features ['x']", True),
        ({"parameters": {"event_time": "2013-01-01T00:00:00Z"}, **request()}, "MLOPS_ACCEPT_EVENT_TIME", True),
        ({}, "no `inputs`", False),
    ],
)
def test_bad_input_is_refused_with_the_reason_and_logged(
    server: Server, models: Models, change: dict[str, object], reason: str, was_read: bool
) -> None:
    model = "refusing"
    if model not in models.stores.registry.models():
        models.champion(model)
        server.wait_in_force(models.stores, model)
    answer = server.post(f"/v2/models/{model}/infer", change)
    assert answer.status_code == 400
    assert reason in answer.json()["error"]
    server.flush()
    last = logged(models, model, "status", "role", "error", "event_time")[-1]
    assert (last["status"], last["role"]) == ("rejected", "none")
    assert last["error"] == answer.json()["error" if was_read else "code"], "what could not be read may be anything"


def test_a_poisoned_row_fails_alone_and_counts_against_its_version(server: Server, models: Models) -> None:
    models.champion("poisoned")
    server.wait_in_force(models.stores, "poisoned")
    carriers = ["AA"] * 15 + ["unheard of"] + ["UA"] * 16
    with ThreadPoolExecutor(len(carriers)) as pool:
        answers = list(pool.map(lambda carrier: server.infer("poisoned", carrier=carrier), carriers))
    assert [answer.status_code for answer in answers] == [200] * 15 + [500] + [200] * 16
    assert answers[15].json()["code"] == "model_failed"
    assert "unheard of" in answers[15].json()["error"]
    server.flush()
    now = SystemClock().now()
    (events,) = models.stores.rollups.events("poisoned", now - 60 * MINUTE, now + MINUTE)
    assert (events.version, events.role, events.counts.requests, events.counts.errors) == ("1.0.0", "champion", 32, 1)
    failed = [row for row in logged(models, "poisoned", "status", "feature_carrier") if row["status"] == "failed"]
    assert [row["feature_carrier"] for row in failed] == ["unheard of"]


def test_the_other_arm_and_the_shadows_score_every_request(server: Server, models: Models) -> None:
    models.champion("paired")
    models.canary("paired", "1.1.0", 0.5, threshold=30.0)
    models.stores.registry.transition(models.register("paired", "1.2.0"), Stage.SHADOW)
    server.wait_in_force(models.stores, "paired")
    keys = [f"customer {number}" for number in range(40)]

    def ask(key: str) -> dict[str, Any]:
        answer: dict[str, Any] = server.infer("paired", delay=25.0, parameters={"routing_key": key}).json()
        return answer

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(ask, keys * 2))
    roles = [answer["parameters"]["role"] for answer in answers]
    assert roles[:40] == roles[40:], "a key stays in its arm"
    assert {"champion", "canary"} == set(roles)

    result = server.flush()
    rows = logged(models, "paired", "prediction_id", "role", "version", "weight", "key", "prediction")
    by_prediction = {answer["id"]: {"answer": answer} for answer in answers}
    for row in rows:
        by_prediction[row["prediction_id"]][row["role"]] = row
    for scorings in by_prediction.values():
        answered = scorings["answer"]["parameters"]["role"]
        other = {"champion": "1.1.0", "canary": "1.0.0"}[answered]
        assert set(scorings) == {"answer", answered, "paired", "shadow"}
        assert (scorings["paired"]["version"], scorings["paired"]["weight"]) == (other, 0.5)
        assert scorings["paired"]["prediction"] == {"1.0.0": "late", "1.1.0": "on_time"}[other]
        assert scorings["shadow"]["version"] == "1.2.0"
    assert len(rows) == 3 * len(answers)
    assert result["answered"] <= result["logged"]

    late = [{"prediction_id": answer["id"], "label": "late"} for answer in answers]
    assert server.post("/v1/models/paired/feedback", {"labels": late}).json()["accepted"] == 80
    server.flush()
    now = SystemClock().now()
    pair, until = Pair("paired", "1.0.0", "1.1.0"), now + MINUTE
    (outcomes,) = pair.outcomes(models.stores.rollups, [now - 60 * MINUTE], until)
    assert outcomes == {"late": PairedCounts(losses=40)}, "one of each key"
    (both,) = pair.both_scored(models.stores.rollups, [now - 60 * MINUTE], until)
    assert both.requests in range(40, 81), "one of each key and minute, of which there may have been two"
    assert both == BothScored(both.requests)


def test_feedback_tells_the_unknown_from_the_known(server: Server, models: Models) -> None:
    models.champion("labelled")
    server.wait_in_force(models.stores, "labelled")
    path, known = "/v1/models/labelled/feedback", server.infer("labelled").json()["id"]

    def send(*labels: tuple[str, str]) -> Any:
        return server.post(path, {"labels": [{"prediction_id": name, "label": label} for name, label in labels]})

    assert send((known, "late"), ("?", "late")).json() == {
        "accepted": 1,
        "corrections": 0,
        "pending": 0,
        "unknown": ["?"],
    }
    assert send((known, "on_time")).json() == {"accepted": 1, "corrections": 1, "pending": 0, "unknown": []}
    assert (send(("?", "late")).status_code, send(("?", "late")).json()["code"]) == (404, "prediction_not_found")
    assert server.post(path, {"labels": []}).json()["code"] == "invalid_input"
    good = {"prediction_id": known, "label": "late"}
    for bad in (
        {"label": None},
        {"label": 1},
        {"label": " "},
        {"prediction_id": 7},
        {"at": "yesterday"},
        {"at": 1.5e9},
    ):
        assert server.post(path, {"labels": [good, {**good, **bad}]}).status_code == 400, bad
    assert server.post(path, {"labels": [{"prediction_id": known}]}).status_code == 400
    assert send((known, "on_time")).json()["corrections"] == 0, "a body with a mistake in it changed nothing"
    many = send(*((known, "late" if number % 2 == 0 else "on_time") for number in range(10_000))).json()
    assert many == {"accepted": 10_000, "corrections": 10_000, "pending": 0, "unknown": []}
    server.flush()
    assert models.stores.log.get(known)["label"] == "on_time", "the last of those that came at once"


def test_what_only_the_canary_refuses_is_the_canarys_failure(server: Server, models: Models) -> None:
    models.champion("wider")
    models.canary("wider", "1.1.0", 1.0, schema=WIDER)
    server.wait_in_force(models.stores, "wider")
    answer = server.infer("wider")
    assert (answer.status_code, answer.json()["code"]) == (500, "model_failed")
    assert "'gate' is missing" in answer.json()["error"]
    server.flush()
    rows = logged(models, "wider", "role", "version", "status")
    assert {(row["role"], row["version"], row["status"]) for row in rows} == {
        ("canary", "1.1.0", "failed"),
        ("paired", "1.0.0", "ok"),
    }


def test_a_rollback_is_in_force_without_a_restart(server: Server, models: Models) -> None:
    """In all processes that serve. How long it takes, `bench/reaction_speed.py` measures."""
    registry = models.stores.registry
    champion = models.champion("rolled")
    registry.transition(models.register("rolled", "2.0.0", threshold=30.0), Stage.PRODUCTION)
    canary = models.canary("rolled", "2.1.0", 1.0)
    server.wait_in_force(models.stores, "rolled")
    assert server.infer("rolled").json()["model_version"] == "2.1.0"
    registry.withdraw(canary, reason="bad")
    server.wait_in_force(models.stores, "rolled")
    assert server.infer("rolled").json()["model_version"] == "2.0.0"
    registry.rollback("rolled", reason="worse")
    server.wait_in_force(models.stores, "rolled")
    assert server.infer("rolled").json()["model_version"] == champion.version


def test_a_rollback_from_the_command_line_is_in_force(server: Server, models: Models) -> None:
    """In all processes that serve. How long it takes, `bench/reaction_speed.py` measures."""
    models.champion("recalled")
    registry = models.stores.registry
    bad = models.register("recalled", "2.0.0", threshold=30.0)
    registry.transition(bad, Stage.PRODUCTION)
    server.wait_in_force(models.stores, "recalled")
    epoch = registry.deployment("recalled").epoch + 1
    mlops = Path(sys.executable).parent / "mlops"
    subprocess.run(
        [mlops, "models", "rollback", "recalled", "--reason", "complaints"],
        env={**os.environ, "MLOPS_HOME": str(models.stores.settings.home)},
        stdout=subprocess.DEVNULL,
        check=True,
        timeout=60,
    )
    eventually(lambda: server.in_force(models.stores, "recalled", epoch))
    assert server.infer("recalled").json()["model_version"] == "1.0.0"


def test_a_corrupted_canary_is_reported_and_the_champion_goes_on(server: Server, models: Models) -> None:
    models.champion("corrupt")
    server.wait_in_force(models.stores, "corrupt")
    registered = models.register("corrupt", "1.1.0")
    digest = registered.digest.removeprefix("folder-")
    (stored,) = [path for path in Path(models.stores.settings.storage).rglob(f"*{digest[2:]}*") if path.is_file()]
    stored.chmod(0o644)
    stored.write_bytes(stored.read_bytes()[:-1] + b"?")
    models.stores.registry.transition(registered, Stage.CANARY, weight=1.0)

    path = "/v2/models/corrupt/versions/1.1.0/ready"
    answer = eventually(lambda: a if "not in memory" not in (a := server.client.get(path)).text else None)
    assert answer.status_code == 503
    assert "1.1.0" in answer.json()["version"]
    assert digest[:12] in answer.json()["error"]
    assert 'mlops_version_ready{model="corrupt",version="1.1.0"} 0.0' in server.client.get("/metrics").text
    assert server.infer("corrupt").json()["model_version"] == "1.0.0"
    assert server.client.get("/v2/models/corrupt/ready").status_code == 200
    epoch = models.stores.registry.deployment("corrupt").epoch
    assert not server.in_force(models.stores, "corrupt", epoch)


def test_the_fuse_cuts_off_a_canary_that_is_proven_bad(server: Server, models: Models) -> None:
    stores = models.stores
    models.champion("fused")
    registered = models.register("fused", "1.1.0", schema=WIDER)
    rollout = stores.rollouts.start(
        "fused", "1.0.0", "1.1.0", RolloutPolicy(), stores.registry.deployment("fused").epoch, NOW
    )
    stores.registry.transition(registered, Stage.CANARY, weight=0.5)
    stores.rollouts.change(rollout.id, lambda seen: replace(seen, phase=Phase.CANARY, step=1, weight=0.5))
    server.wait_in_force(stores, "fused")
    for _ in range(100):
        server.infer("fused")
    proven_at = time.monotonic()
    eventually(lambda: stores.registry.get("fused", "1.1.0").rolled_back)
    assert time.monotonic() - proven_at < 3
    last = stores.registry.history("fused")[-1]
    assert last.reason.startswith("fuse: proven worse")
    assert last.evidence
    assert {server.infer("fused").json()["model_version"] for _ in range(10)} == {"1.0.0"}
    assert 'mlops_fuse_trips_total{model="fused",version="1.1.0"} 1.0' in server.client.get("/metrics").text
