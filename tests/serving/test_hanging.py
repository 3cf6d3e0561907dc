"""A model that takes too long, on real arithmetic: it has failed, and the next one is answered."""

import signal
from collections.abc import Iterator
from datetime import timedelta

import numpy as np
import pandas as pd
import pytest
from sklearn.neighbors import KNeighborsClassifier

from mlops_dagster.clock import SystemClock
from mlops_dagster.registry import Stage
from mlops_dagster.schema import Feature, ModelSchema
from mlops_dagster.serving.plane.abandonable import MOST_STUCK
from mlops_dagster.tasks import Classification
from tests.support.servable import tried_before
from tests.support.serving.data_plane import CARD, ForkedServer, Models, Server

NAMES = ("a", "b", "c")
SCHEMA = ModelSchema(
    features=tuple(Feature(name=name, kind="numeric") for name in NAMES), task=Classification(classes=("no", "yes"))
)
HOUR = timedelta(hours=1)
TOO_MANY = 10_000  # rows that take many seconds: every distance is a sum of powers


@pytest.fixture
def server(models: Models) -> Iterator[Server]:
    frame = pd.DataFrame(np.random.default_rng(0).normal(size=(20_000, 3)), columns=NAMES)
    neighbours = KNeighborsClassifier(metric="minkowski", p=2.5, algorithm="brute")
    neighbours.fit(frame, np.where(frame["a"] > 0, "yes", "no"))
    registry = models.stores.registry
    with tried_before():
        version = registry.register("slow", neighbours, "1.0.0", schema=SCHEMA, card=CARD)
    registry.transition(version, Stage.PRODUCTION)
    running = ForkedServer(models.stores.settings.home, MLOPS_PREDICT_TIMEOUT="1")
    running.wait_in_force(models.stores, "slow")
    yield running
    running.stop(signal.SIGKILL)


def body(rows: int) -> dict[str, object]:
    return {"inputs": [{"name": "x", "shape": [rows, 3], "datatype": "FP64", "data": [1.0, 0.0, 0.0] * rows}]}


def test_a_batch_that_hangs_has_failed_and_the_next_is_answered(server: Server, models: Models) -> None:
    path = "/v2/models/slow/infer"
    for _ in range(2):
        late = server.post(path, body(TOO_MANY))
        assert (late.status_code, late.json()["code"]) == (504, "model_timeout")
        assert late.json()["error"] == "version 1.0.0 has not answered within 1 s"
        assert server.post(path, body(1)).json()["outputs"][0]["data"] == ["yes"]
    server.flush()
    now = SystemClock().now()
    (events,) = models.stores.rollups.events("slow", now - HOUR, now + HOUR)
    assert (events.counts.requests, events.counts.errors) == (4, 2)
    assert (events.counts.rows, events.counts.failed_rows) == (2 * TOO_MANY + 2, 2 * TOO_MANY)
    assert MOST_STUCK > 2
