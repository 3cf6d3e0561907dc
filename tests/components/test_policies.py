"""Policies reach the registry when a code location runs, and every command judges by them there."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import dagster as dg
import pytest
import yaml
from dagster._core.remote_origin import (  # no public names
    InProcessCodeLocationOrigin,
    RemoteJobOrigin,
    RemoteRepositoryOrigin,
)
from dagster._core.types.loadable_target_origin import LoadableTargetOrigin
from typer.testing import CliRunner

from mlops_dagster.cli import app
from mlops_dagster.components import Platform, load_from_defs_folder
from mlops_dagster.components.platform import publish_policies
from mlops_dagster.errors import FleetError, PolicyConflictError
from mlops_dagster.loop.spec import ModelSpec
from mlops_dagster.monitoring import DriftPolicy, ValidationPolicy
from mlops_dagster.registry import GatePolicy, GuardPolicy, ModelRegistry
from mlops_dagster.retraining.policy import RetrainingPolicy
from mlops_dagster.rollout import RolloutPolicy
from mlops_dagster.stores import Stores
from tests.support.components.projects import project, yaml_of

YAML = yaml_of(
    "my-model",
    "  gates: {min_micro_f1: 0.6}\n"
    "  validation: {guard: reject, stretch: 1.0}\n"
    "  drift: {retrain: 0.5, rows_per_observation: {a: 7}}\n"
    "  rollout: {steps: [0.1]}\n"
    "  retraining: {cadence: off}\n",
)


@pytest.fixture
def registry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ModelRegistry]:
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("MLOPS_HOME", str(tmp_path / "home"))
    registry = ModelRegistry()
    yield registry
    registry.close()
    for module in [each for each in sys.modules if each.startswith("shop_of_policies")]:
        del sys.modules[module]


def origin_of(location: str) -> InProcessCodeLocationOrigin:
    return InProcessCodeLocationOrigin(LoadableTargetOrigin(module_name="shop"), location_name=location)


def tick(defs: dg.Definitions, location: str) -> None:
    """Evaluate the sensor `rollouts` as the code server of the location does."""
    repository = defs.get_repository_def()
    sensor = repository.get_sensor_def("rollouts")
    with dg.SensorEvaluationContext(
        instance_ref=None,
        last_tick_completion_time=None,
        last_run_key=None,
        cursor=None,
        log_key=None,
        repository_name=None,
        repository_def=repository,
        instance=dg.DagsterInstance.ephemeral(),
        sensor_name=sensor.name,
        resources={"platform": Platform().get_resource_definition()},
        code_location_origin=origin_of(location),
    ) as context:
        sensor.evaluate_tick(context)


def mlops(*arguments: str) -> str:
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == 0, done.output
    return done.stdout


def test_a_project_that_uses_this_as_a_library_gets_its_own(registry: ModelRegistry, tmp_path: Path) -> None:
    """Whoever loads its definitions publishes nothing; its sensor does. Commands run anywhere, not in its folder."""
    defs = load_from_defs_folder(path_within_project=project(tmp_path, "shop_of_policies", {"model": YAML}).parent)
    defs.get_repository_def()
    assert registry.policies("my-model").origin == "the defaults"
    for _ in range(2):
        tick(defs, "shop")
    found = registry.policies("my-model")
    assert (found.location, found.event, registry.audit().events) == ("shop", 1, 1)
    assert found.section("drift", DriftPolicy) == DriftPolicy(retrain=0.5, rows_per_observation={"a": 7})
    assert found.section("rollout", RolloutPolicy) == RolloutPolicy(steps=(0.1,))
    assert found.section("retraining", RetrainingPolicy).cadence is None
    assert found.section("gates", GatePolicy) == registry.gates("my-model") == GatePolicy(min_micro_f1=0.6)
    assert found.section("guard", GuardPolicy) == GuardPolicy(mode="reject", stretch=1.0)
    assert "min_micro_f1: 0.6" in mlops("policies", "show", "my-model")
    shown = json.loads(mlops("policies", "show", "my-model", "--json"))
    assert (shown["location"], shown["policies"]) == ("shop", found.sections)
    early = CliRunner().invoke(app, ["policies", "show", "my-model", "--at", "2013-03-01T00:00Z"])
    assert (early.exit_code, "no policies of 'my-model' were published by 2013" in early.output) == (1, True)


def test_a_second_code_location_is_refused_until_the_model_is_handed_over(
    registry: ModelRegistry, tmp_path: Path
) -> None:
    folder = project(tmp_path, "shop_of_policies", {"model": YAML}).parent
    defs = load_from_defs_folder(path_within_project=folder)
    tick(defs, "shop")
    (folder / "defs" / "model" / "defs.yaml").write_text(YAML.replace("0.5", "0.4"))
    copied = load_from_defs_folder(path_within_project=folder)
    with pytest.raises(FleetError, match=r"location 'shop', and the code location 'copy' has .*\(drift\)"):
        tick(copied, "copy")
    tick(defs, "shop")
    mlops("policies", "hand-over", "my-model", "--to", "copy", "--reason", "moved")
    tick(copied, "copy")
    found = registry.policies("my-model")
    assert (found.location, found.section("drift", DriftPolicy).retrain) == ("copy", 0.4)
    with pytest.raises(FleetError, match="'copy', and the code location 'shop'"):
        tick(defs, "shop")


def test_a_run_publishes_as_its_code_location_with_the_content_of_the_suite(
    registry: ModelRegistry, tmp_path: Path
) -> None:
    job = RemoteJobOrigin(RemoteRepositoryOrigin(origin_of("shop"), "repository"), "my_model_retrain")
    launched, in_process = (
        SimpleNamespace(run=dg.DagsterRun(job_name=job.job_name, remote_job_origin=each)) for each in (job, None)
    )
    file, stores = tmp_path / "mine.json", Stores()
    file.write_text('{"name": "mine", "expectations": []}')
    attributes = yaml.safe_load(YAML)["attributes"]
    spec = ModelSpec.model_validate({**attributes, "validation": {"suite": file}})
    publish_policies(stores, spec, launched)
    publish_policies(stores, spec, in_process)
    found = registry.policies("my-model")
    assert (found.location, found.section("validation", ValidationPolicy).suite) == ("shop", Path("mine.json"))
    assert found.sections["suite"] == {"name": "mine", "expectations": []}
    file.write_text("{")
    with pytest.raises(PolicyConflictError, match=r"a process outside of any code location has others \(suite\)"):
        publish_policies(stores, spec, in_process)
    publish_policies(stores, spec, launched)
    assert registry.policies("my-model").sections["suite"] is None, "the next validation alerts; rollouts go on"
