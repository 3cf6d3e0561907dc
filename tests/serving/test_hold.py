"""A model on hold: nobody is answered, everybody is told why, and nothing but a release changes that."""

import os
import re
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from mlops_dagster.registry import Stage
from mlops_dagster.settings import Settings
from mlops_dagster.stores import Stores
from tests.support.proxy import Proxy
from tests.support.serving.data_plane import ForkedServer, Models, behind, children, eventually, log_rows
from tests.support.serving.light import light_artifacts

MODEL = "held"
WHY = "model 'held' is on hold: the weather station sends Celsius"


@pytest.fixture
def models(tmp_path: Path, postgresql: str) -> Iterator[Models]:
    stores = Stores(Settings(home=tmp_path / "home", database_url=postgresql), actor="ada")
    yield Models(stores, light_artifacts(tmp_path))
    stores.registry.close()
    stores.rollouts.close()


def seconds_until(true: Callable[[], bool]) -> float:
    begin = time.monotonic()
    eventually(true)
    return time.monotonic() - begin


def test_a_hold_is_in_force_at_once_and_outlives_a_promotion_a_restart_and_the_database(
    models: Models, postgresql: str, proxy: Proxy
) -> None:
    registry = models.stores.registry
    models.champion(MODEL)
    models.champion("other")
    server = ForkedServer(
        models.stores.settings.home, MLOPS_DATABASE_URL=behind(proxy, postgresql), MLOPS_DRAIN_SECONDS="1"
    )
    path = f"/v2/models/{MODEL}"

    def status() -> int:
        return server.infer(MODEL).status_code

    try:
        for name in (MODEL, "other"):
            server.wait_in_force(models.stores, name)
        answered = server.infer(MODEL, id="before").json()["id"]
        registry.hold(MODEL, "the weather station sends Celsius")
        assert seconds_until(lambda: status() == 503) < 0.5
        refused = server.infer(MODEL, id="meanwhile", rows=2)
        assert refused.json() == {"error": WHY, "code": "on_hold"}
        assert re.search(r'mlops_requests_total{.*status="held".*} [1-9]', server.client.get("/metrics").text)
        assert server.post(f"{path}/versions/1.0.0/infer", {"inputs": []}).status_code == 400
        assert server.infer(f"{MODEL}/versions/1.0.0", id="by name").json()["code"] == "on_hold", "nor by name"
        other = [{"name": "wings", "shape": [1], "datatype": "FP64", "data": [2.0]}]
        assert server.post(f"{path}/infer", {"id": "of another kind", "inputs": other}).status_code == 503
        ready = server.client.get(f"{path}/ready")
        assert (ready.status_code, ready.json()["ready"], ready.json()["error"]) == (503, False, WHY)
        assert server.client.get("/v2/health/ready").status_code == 200, "the other models go on"
        assert server.infer("other").status_code == 200
        labels = {"labels": [{"prediction_id": answered, "label": "late"}]}
        assert server.post(f"/v1/models/{MODEL}/feedback", labels).json()["accepted"] == 1

        registry.transition(models.register(MODEL, "2.0.0"), Stage.PRODUCTION)
        server.wait_in_force(models.stores, MODEL)
        assert status() == 503

        proxy.cut()
        for pid in children(server, "worker"):
            os.kill(pid, signal.SIGKILL)
        eventually(lambda: not {*server.address["processes"]} & {*server.read_address()["processes"]})
        assert server.infer(MODEL, id="database away").json() == {"error": WHY, "code": "on_hold"}
        assert server.infer("other").status_code == 200
        proxy.heal()
        address = server.read_address()
        assert address is not None
        server.address = address
        eventually(lambda: server.in_force(models.stores, MODEL, registry.deployment(MODEL).epoch))

        registry.release(MODEL, "it sends Fahrenheit")
        assert seconds_until(lambda: status() == 200) < 0.5
        assert server.infer(MODEL).json()["model_version"] == "2.0.0"
        server.flush()
        rows = {
            row["prediction_id"]: row
            for row in log_rows(
                models.stores, MODEL, "prediction_id", "status", "role", "error", "raw", "row", "feature_delay"
            )
        }
        for name in ("meanwhile/0", "meanwhile/1", "database away", "by name", "of another kind"):
            assert (rows[name]["status"], rows[name]["role"], rows[name]["error"]) == ("held", "none", WHY)
        for name in ("meanwhile/0", "meanwhile/1", "database away"):  # what it would have been given
            assert (rows[name]["feature_delay"], rows[name]["raw"]) == (40.0, None)
        assert rows["meanwhile/1"]["row"] == 1
        assert '"delay"' in rows["by name"]["raw"]
        assert '"wings"' in rows["of another kind"]["raw"]
    finally:
        server.stop(signal.SIGTERM)
