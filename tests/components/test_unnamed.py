"""A model whose YAML is gone, or cannot be used, while its canary takes traffic: found, held, told, and let go on."""

import time
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.definitions.run_request import InstigatorType  # none of these has a public name
from dagster._core.remote_origin import RemoteInstigatorOrigin, RemoteRepositoryOrigin
from dagster._core.scheduler.instigation import InstigatorState, InstigatorStatus, SensorInstigatorData
from dagster._core.workspace.load_target import ModuleTarget

from mlops_dagster.components.platform import Platform
from mlops_dagster.components.sensors.serving_versions import serving_sensors
from mlops_dagster.components.sensors.unnamed import unnamed_sensor
from mlops_dagster.errors import FleetError
from mlops_dagster.registry import Stage
from mlops_dagster.rollout import Phase
from mlops_dagster.stores import Stores
from tests.components.test_rollout_sensors import SPEC, begin_rollout

SENSOR = "models_without_definition"


class Location:
    """A code location over one home, which names the model or does not."""

    def __init__(self, platform: Platform, instance: dg.DagsterInstance) -> None:
        self._platform, self.instance = platform, instance

    def tick(self, sensor: str = SENSOR, *, named: bool) -> str:
        specs = [SPEC] if named else []
        (found,) = (each for each in (*serving_sensors(specs), unnamed_sensor(specs)) if each.name == sensor)
        with dg.build_sensor_context(self.instance, resources={"platform": self._platform}) as context:
            return str(found.evaluate_tick(context).skip_message)


@pytest.fixture
def stores(tmp_path: Path) -> Stores:
    return Platform(home=str(tmp_path / "home")).stores()


@pytest.fixture
def location(stores: Stores, tmp_path: Path) -> Iterator[Location]:
    """Its model has a rollout that has just begun."""
    begin_rollout(stores)
    with dg.DagsterInstance.local_temp(str(tmp_path)) as instance:
        location = Location(Platform(home=str(stores.settings.home)), instance)
        assert location.tick("rollouts", named=True).startswith("my-model: hold: shadow")
        yield location


def test_its_rollout_is_held_and_told_and_goes_on_when_a_definition_names_it_again(
    location: Location, stores: Stores
) -> None:
    assert location.tick(named=True) == "every model has a definition"
    for _ in range(2):
        assert location.tick(named=False) == "without a definition: my-model"
    (alert,) = stores.alerts.list(SPEC.model)
    assert (alert.rule, alert.times) == ("no_definition", 2)
    assert "served as before by champion 1.0.0, shadow 1.1.0" in alert.summary
    held = stores.rollouts.running(SPEC.model)
    assert (held.paused, alert.evidence) == (True, {"held": held.id})

    location.tick(named=True)
    assert not stores.rollouts.running(SPEC.model).paused
    assert stores.alerts.list(SPEC.model) == []
    kinds = [event.kind for event in stores.registry.history(SPEC.model)]
    assert kinds[-2:] == ["paused", "resumed"]


def test_what_a_person_has_paused_stays_so(location: Location, stores: Stores) -> None:
    stores.controller(lambda _model: SPEC.rollout).pause(SPEC.model, "I want to look at it")
    location.tick(named=False)
    location.tick(named=True)
    assert stores.rollouts.running(SPEC.model).paused


def test_proof_takes_its_challenger_out_all_the_same(location: Location, stores: Stores) -> None:
    stores.registry.note_not_loaded(SPEC.model, "1.1.0", why="it is broken")
    location.tick(named=False)
    assert stores.rollouts.list(SPEC.model)[-1].phase is Phase.ROLLED_BACK
    assert stores.registry.deployment(SPEC.model).shadows == ()


def test_what_was_only_ever_registered_by_hand_needs_no_definition(stores: Stores, location: Location) -> None:
    path = Path(stores.settings.home) / "1.0.0.onnx"
    by_hand = stores.registry.register("by-hand", path, "1.0.0")
    stores.registry.transition(by_hand, Stage.PRODUCTION, force=True, reason="a test")
    trained = stores.registry.register("trained-once", path, "1.0.0", lineage={"dagster_run": "x"})
    stores.registry.transition(trained, Stage.PRODUCTION, force=True, reason="a test")
    assert location.tick(named=True) == "without a definition: trained-once"
    assert [alert.model for alert in stores.alerts.list()] == ["trained-once"]


def test_what_another_code_location_looks_after_is_not_touched(location: Location, stores: Stores) -> None:
    """As long as that lives: ten minutes after its last look it is taken to be gone."""

    def ticked(seconds_ago: float) -> InstigatorState:
        repository = RemoteRepositoryOrigin(ModuleTarget("other", None, None, "other").create_origins()[0], "other")
        data = SensorInstigatorData(last_tick_timestamp=time.time() - seconds_ago)
        origin = RemoteInstigatorOrigin(repository, "rollouts")
        return InstigatorState(origin, InstigatorType.SENSOR, InstigatorStatus.DECLARED_IN_CODE, data)

    location.instance.add_instigator_state(ticked(30))
    assert location.tick(named=False) == "without a definition: my-model", "the other has not published its policies"
    stores.registry.hand_over_policies(SPEC.model, to="other", reason="it has moved")
    assert location.tick(named=False) == "every model has a definition"
    assert stores.alerts.list() == [], "it is let go on"
    location.instance.update_instigator_state(ticked(700))
    assert location.tick(named=False) == "without a definition: my-model"


def test_one_models_trouble_is_no_others(location: Location, stores: Stores, caplog: pytest.LogCaptureFixture) -> None:
    """Models are looked at in order of their names."""
    path = Path(stores.settings.home) / "1.0.0.onnx"
    trained = stores.registry.register("z-trained", path, "1.0.0", lineage={"dagster_run": "x"})
    stores.registry.transition(trained, Stage.PRODUCTION, force=True, reason="a test")
    with stores.rollouts._engine.begin() as connection:
        connection.exec_driver_sql("UPDATE deployments SET guard = '{' WHERE model = 'my-model'")
    with pytest.raises(FleetError, match="1 of 2 models could not be looked at, the others were: my-model: "):
        location.tick(named=False)
    assert "my-model: " in caplog.text
    assert [alert.model for alert in stores.alerts.list()] == ["z-trained"]


def test_one_whose_rollout_cannot_be_read_is_told_of(location: Location, stores: Stores) -> None:
    with stores.rollouts._engine.begin() as connection:
        connection.exec_driver_sql("UPDATE rollouts SET body = '{}'")
    location.tick(named=False)
    (alert,) = stores.alerts.list()
    assert (alert.rule, alert.evidence) == ("no_definition", {"held": None})
