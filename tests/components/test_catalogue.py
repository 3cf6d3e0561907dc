"""MLflow is kept in step by Dagster: the sensor sees what is to be told, the job tells it."""

from pathlib import Path

import dagster as dg
import httpx
import pytest

from mlops_dagster.components import Platform
from mlops_dagster.defs.catalogue import mlflow_catalogue, mlflow_catalogue_sensor
from mlops_dagster.registry import ModelRegistry
from tests.support.mlflow_server import MlflowServer


def test_what_happened_is_told_in_a_run(
    mlflow_server: MlflowServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLOPS_HOME", str(tmp_path / "home"))
    resources = {"platform": Platform()}

    def evaluated() -> object:
        with (
            dg.DagsterInstance.local_temp(str(tmp_path)) as instance,
            dg.build_sensor_context(instance=instance, resources=resources) as context,
        ):
            return mlflow_catalogue_sensor(context)

    (tmp_path / "model.onnx").write_text("weights")
    ModelRegistry().register("told-by-dagster", tmp_path / "model.onnx")
    assert isinstance(evaluated(), dg.SkipReason)  # no server in the settings
    monkeypatch.setenv("MLOPS_MLFLOW_URL", mlflow_server.uri)
    assert isinstance(evaluated(), dg.RunRequest)
    with dg.DagsterInstance.local_temp(str(tmp_path)) as instance:
        assert mlflow_catalogue.execute_in_process(instance=instance, resources=resources).success
    shown = httpx.get(
        f"{mlflow_server.address}/api/2.0/mlflow/model-versions/search",
        params={"filter": "name = 'told-by-dagster'"},
    ).json()
    assert [tag["value"] for tag in shown["model_versions"][0]["tags"] if tag["key"] == "mlops.version"] == ["1.0.0"]
    assert isinstance(evaluated(), dg.SkipReason)
