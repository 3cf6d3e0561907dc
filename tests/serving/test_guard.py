"""The guard over HTTP: what is unlike the training data is refused or counted, alone, and is nobody's error."""

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import httpx
import numpy as np
import pandas as pd
from hypothesis import given, settings
from hypothesis import strategies as st

from mlops_dagster.clock import SystemClock
from mlops_dagster.monitoring import make_baseline
from mlops_dagster.predictions.records import SERVED
from mlops_dagster.registry import GuardPolicy, Stage
from mlops_dagster.schema import Feature, ModelSchema
from mlops_dagster.serving.deployed.guard import Guard
from mlops_dagster.serving.protocol.inputs import Column
from mlops_dagster.tasks import Classification
from tests.serving.test_telemetry import parsed
from tests.support.serving.data_plane import CARD, SCHEMA, WIDER, Models, Server, log_rows, make_frame

REJECT, LOG, OFF = GuardPolicy(mode="reject"), GuardPolicy(), GuardPolicy(mode="off")
GOOD: Mapping[str, list[Any]] = {"delay": [40.0, 5.0, -3.0, 0.0], "distance": [10.0, 20.0, 30.0, 0.0],
                                 "carrier": ["AA", None, "B6", "UA"]}  # fmt: skip


def ask(server: Server, model: str, path: str = "", **changes: list[Any]) -> httpx.Response:
    """Four rows, as they should be but for the columns that are named."""
    inputs = [
        {"name": name, "shape": [4], "datatype": "BYTES" if name == "carrier" else "FP64", "data": data}
        for name, data in {**GOOD, **changes}.items()
    ]
    return server.post(f"/v2/models/{model}{path}/infer", {"inputs": inputs})


def counted(server: Server, model: str) -> dict[tuple[str, str], float]:
    """Rows that were found to be unlike the training data, by feature and reason; only reasons that occurred."""
    found = parsed(server.client.get("/metrics").text)
    return {
        (labels["feature"], labels["reason"]): value
        for (name, pairs), value in found.items()
        if name == "mlops_unlike_training_total" and (labels := dict(pairs))["model"] == model and value
    }


def served(models: Models, model: str) -> list[tuple[str, str, int, int]]:
    """Version, role, rows and errors of what is evidence."""
    now, hour = SystemClock().now(), timedelta(hours=1)
    found = models.stores.rollups.events(model, now - hour, now + hour)
    return [
        (each.version, each.role, each.counts.rows, each.counts.failed_rows) for each in found if each.role in SERVED
    ]


BAD: Mapping[str, tuple[dict[str, list[Any]], str, str]] = {
    "high": ({"delay": [40.0, 5.0, 9999.5, 0.0]}, "unlike_training", "'delay' of row 2 is 9999.5, not -"),
    "low": ({"distance": [10.0, -9999.5, 30.0, 0.0]}, "unlike_training", "'distance' of row 1 is -9999.5, not -"),
    "category": ({"carrier": ["AA", None, "??", "UA"]}, "unlike_training", "'carrier' of row 2 is '??', not one of AA"),
    "null": ({"distance": [10.0, 20.0, None, 0.0]}, "invalid_features", "feature 'distance' must not be null"),
    "type": ({"delay": [40.0, 5.0, "x", 0.0]}, "invalid_input", "value 'x', which is not FP64"),
}


def test_a_bad_row_is_refused_with_its_reason_and_its_neighbours_are_answered(server: Server, models: Models) -> None:
    models.champion("guarded")
    models.stores.registry.publish_policies("guarded", {"guard": REJECT}, reason="a test")
    server.wait_in_force(models.stores, "guarded")
    asked: list[dict[str, list[Any]]] = [{}, *(changes for changes, _, _ in BAD.values())] * 4
    with ThreadPoolExecutor(len(asked)) as pool:
        answers = list(pool.map(lambda changes: ask(server, "guarded", **changes), asked))
    kinds = [(200, "", ""), *((400, code, reason) for _, code, reason in BAD.values())] * 4
    for answer, (status, code, reason) in zip(answers, kinds, strict=True):
        assert (answer.status_code, answer.json().get("code", "")) == (status, code)
        assert reason in answer.json().get("error", "")
    assert " to 2" in answers[1].json()["error"], "the range is told: about 13 standard deviations of 20 around 10"

    server.flush()
    rows = log_rows(models.stores, "guarded", "status", "role", "error", "raw")
    assert sorted(row["status"] for row in rows) == ["ok"] * 4 * 4 + ["rejected"] * 4 * 5
    refused = [row for row in rows if row["status"] == "rejected"]
    # One with a value of another type cannot be read: whose it is, nobody knows.
    assert {row["role"] for row in refused} == {"none"}
    bodies = [answer.json() for answer in answers if answer.status_code == 400]
    told = {each["code"] if each["code"] == "invalid_input" else each["error"] for each in bodies}
    assert {(row["error"], row["raw"] is None) for row in refused} == {(each, each == "invalid_input") for each in told}
    assert served(models, "guarded") == [("1.0.0", "champion", 16, 0)]
    assert counted(server, "guarded") == {
        ("delay", "range"): 4,
        ("distance", "range"): 4,
        ("carrier", "category"): 4,
    }


def test_by_default_it_is_counted_and_answered_and_off_is_off(server: Server, models: Models) -> None:
    models.champion("counted")
    server.wait_in_force(models.stores, "counted")
    unlike = {"delay": [9999.5, 5.0, -9999.5, 0.0], "carrier": ["AA", "??", "B6", "UA"]}
    assert ask(server, "counted", **unlike).status_code == 200
    assert counted(server, "counted") == {("delay", "range"): 2, ("carrier", "category"): 1}
    models.stores.registry.publish_policies("counted", {"guard": OFF})
    server.wait_in_force(models.stores, "counted")
    assert ask(server, "counted", **unlike).status_code == 200
    assert counted(server, "counted") == {("delay", "range"): 2, ("carrier", "category"): 1}
    models.stores.registry.publish_policies("counted", {"guard": GuardPolicy(mode="reject", stretch=1e6)})
    server.wait_in_force(models.stores, "counted")
    assert ask(server, "counted", delay=unlike["delay"]).status_code == 200
    assert ask(server, "counted", **unlike).status_code == 400


def test_what_the_guard_refuses_is_no_error_of_a_canary(server: Server, models: Models) -> None:
    registry = models.stores.registry
    models.champion("with-canary")
    frame = make_frame(SCHEMA)
    frame["delay"] /= 1000
    narrow = make_baseline(frame, SCHEMA, scores=np.full(300, 0.5), labels=["late"] * 300)
    artifact = models.artifacts[SCHEMA.digest, 15.0]
    canary = registry.register("with-canary", artifact, "1.1.0", schema=SCHEMA, card=CARD, baseline=narrow)
    registry.transition(canary, Stage.CANARY, weight=1.0)
    registry.publish_policies("with-canary", {"guard": REJECT})
    server.wait_in_force(models.stores, "with-canary")
    assert ask(server, "with-canary").json()["model_version"] == "1.1.0", "it goes by the champion's training data"
    assert ask(server, "with-canary", delay=[9999.5] * 4).json()["code"] == "unlike_training"
    by_name = ask(server, "with-canary", "/versions/1.1.0")
    assert (by_name.status_code, "of with-canary 1.1.0: feature 'delay'" in by_name.json()["error"]) == (400, True)
    server.flush()
    assert served(models, "with-canary") == [("1.1.0", "canary", 4, 0)]


def test_what_the_guard_refuses_for_all_is_not_the_failure_of_a_canary_with_another_schema(
    server: Server, models: Models
) -> None:
    models.champion("wider-canary")
    models.canary("wider-canary", "1.1.0", 1.0, schema=WIDER)
    models.stores.registry.publish_policies("wider-canary", {"guard": REJECT})
    server.wait_in_force(models.stores, "wider-canary")
    assert ask(server, "wider-canary", delay=[9999.5] * 4).status_code == 400
    server.flush()
    assert served(models, "wider-canary") == []
    assert ask(server, "wider-canary").status_code == 500, "this only the canary's schema refuses"
    server.flush()
    assert served(models, "wider-canary") == [("1.1.0", "canary", 4, 4)]


SHAPES = st.sampled_from(["normal", "exponential", "lognormal", "standard_cauchy", "poisson", "zeros", "constant"])


def draw(shape: str, rows: int, seed: int) -> list[float]:
    generator = np.random.default_rng(seed)
    if shape == "zeros":
        return (generator.exponential(size=rows) * (generator.random(rows) < 0.03)).tolist()
    if shape == "constant":
        return [float(generator.integers(5))] * rows
    values: list[float] = getattr(generator, shape)(size=rows).astype(float).tolist()
    return values


@given(
    shape=SHAPES,
    rows=st.integers(1, 3000),
    seed=st.integers(0, 2**32),
    scale=st.sampled_from([1e-300, 1e-3, 1.0, 1e9, 1e300]),
    missing=st.sampled_from([0.0, 0.3, 1.0]),
    names=st.integers(1, 400),
)
@settings(max_examples=60)
def test_of_its_own_training_rows_it_refuses_no_more_than_one_in_a_hundred(
    shape: str, rows: int, seed: int, scale: float, missing: float, names: int
) -> None:
    generator = np.random.default_rng(seed)
    lacks = (generator.random((2, rows)) < missing).tolist()
    numbers = [None if lack else value * scale for lack, value in zip(lacks[0], draw(shape, rows, seed), strict=True)]
    texts = [None if lack else f"c{generator.integers(names)}" for lack in lacks[1]]
    schema = ModelSchema(
        features=(Feature(name="x", kind="numeric"), Feature(name="c", kind="categorical")),
        task=Classification(classes=("a", "b")),
    )
    frame = pd.DataFrame({"x": np.array(numbers, dtype=np.float64), "c": pd.Series(texts, dtype=object)})
    baseline = make_baseline(frame, schema, scores=np.full(rows, 0.5), labels=["a"] * rows)
    found = Guard(schema, baseline, 2.0).violations({"x": Column("FP64", numbers), "c": Column("BYTES", texts)})
    assert [each.feature for each in found if each.reason == "category"] == []
    present = rows - sum(lacks[0])
    assert sum(each.rows for each in found) <= 0.01 * present
    if present > 0 and shape != "constant" and len({*numbers} - {None}) > 2 and scale == 1.0:
        wild = Guard(schema, baseline, 2.0).violations({"x": Column("FP64", [1e250, -1e250])})
        assert [each.rows for each in wild] == [2]
