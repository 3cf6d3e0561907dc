"""What the sensors over all models do, on a real registry: they act within their tick."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import dagster as dg
import pytest

from mlops_dagster.clock import SystemClock
from mlops_dagster.components.jobs.by_hand import by_hand_jobs
from mlops_dagster.components.keys import key_of
from mlops_dagster.components.platform import Platform
from mlops_dagster.components.sensors.serving_versions import serving_sensors
from mlops_dagster.errors import FleetError, KnownBadError
from mlops_dagster.loop.spec import CardSpec, ModelSpec, TrainingSpec
from mlops_dagster.registry import GatePolicy, ModelCard, ModelVersion, Stage
from mlops_dagster.rollout import Phase, RolloutPolicy
from mlops_dagster.stores import Stores
from tests.support.components.at_a_time import PlatformAt
from tests.support.rollout_world import CARD

SPEC = ModelSpec(
    model="my-model",
    trainer="nobody.trains",
    training=TrainingSpec(dataset="made up"),
    card=CardSpec(intended_use="tests", failure_modes=("none",), contacts=("me",), fairness_attribute="a"),
    rollout=RolloutPolicy(steps=(0.1,)),
)


class Asked:
    """One code location on one instance; sensors are asked by their names."""

    def __init__(self, spec: ModelSpec, platform: Platform, instance: dg.DagsterInstance, *others: ModelSpec) -> None:
        self._platform, self.instance = platform, instance
        specs = [spec, *others]
        self._sensors = {sensor.name: sensor for sensor in serving_sensors(specs)}

    def tick(self, sensor: str) -> str:
        """What it says that it did."""
        with dg.build_sensor_context(self.instance, resources={"platform": self._platform}) as context:
            asked = self._sensors[sensor].evaluate_tick(context)
        assert not asked.run_requests
        return str(asked.skip_message).removeprefix(f"{SPEC.model}: ")

    def records(self) -> list[dict[str, object]]:
        """What is recorded on `deployment`, the latest first."""
        found = self.instance.fetch_materializations(key_of(SPEC, "deployment"), limit=9).records
        made = [each.asset_materialization for each in found]
        return [{name: value.value for name, value in each.metadata.items()} for each in made if each is not None]


@pytest.fixture
def platform(tmp_path: Path) -> Platform:
    return Platform(home=str(tmp_path / "home"))


@pytest.fixture
def stores(platform: Platform) -> Stores:
    return platform.stores()


@pytest.fixture
def asked(platform: Platform, tmp_path: Path) -> Iterator[Asked]:
    with dg.DagsterInstance.ephemeral() as instance:
        yield Asked(SPEC, platform, instance)


def register(stores: Stores, version: str, card: ModelCard | None = None) -> ModelVersion:
    path = Path(stores.settings.home) / f"{version}.onnx"
    path.write_text(version)
    return stores.registry.register(SPEC.model, path, version, card=card)


def begin_rollout(stores: Stores) -> None:
    stores.registry.transition(register(stores, "1.0.0"), Stage.PRODUCTION, force=True, reason="a test")
    register(stores, "1.1.0")


def test_the_very_first_version_is_promoted_if_the_gates_let_it(asked: Asked, stores: Stores) -> None:
    assert asked.tick("rollouts") == "no version yet; its job `retrain` makes one"
    register(stores, "0.9.0", CARD)
    register(stores, "1.0.0", CARD)
    assert asked.tick("rollouts") == "promotion: the first version: no champion yet"
    assert asked.tick("limits") == "nothing to look at"
    assert stores.registry.deployment(SPEC.model).champion == "1.0.0"
    assert asked.tick("rollouts") == "no challenger"
    (told,) = asked.records()
    assert (told["action"], told["champion"]) == ("promotion", "1.0.0")


def test_the_very_first_version_waits_for_who_must_approve(asked: Asked, platform: Platform, stores: Stores) -> None:
    strict = Asked(SPEC.model_copy(update={"gates": GatePolicy(approvers=("grace",))}), platform, asked.instance)
    register(stores, "1.0.0", CARD)
    assert strict.tick("rollouts") == "1.0.0 waits for approval: grace"
    assert stores.registry.deployment(SPEC.model).champion is None


@pytest.mark.parametrize("first", ["limits", "rollouts"])
def test_two_sensors_that_find_the_same_roll_back_once(
    asked: Asked, platform: Platform, stores: Stores, first: str
) -> None:
    begin_rollout(stores)
    assert asked.tick("rollouts").startswith("hold: shadow")
    wider = SPEC.rollout.model_copy(update={"margin": 0.03})
    changed = Asked(SPEC.model_copy(update={"rollout": wider}), platform, asked.instance)
    kept = "; it keeps the policy it began with; as written now, margin will hold for the next rollout"
    assert changed.tick("rollouts").endswith(kept)
    assert not asked.tick("rollouts").endswith(kept)
    assert asked.tick("limits") == "nothing is proven against a challenger"
    stores.registry.note_not_loaded(SPEC.model, "1.1.0", why="it is broken")
    assert asked.tick(first) == "rollback: not loadable: it is broken"
    assert stores.rollouts.list(SPEC.model)[-1].phase is Phase.ROLLED_BACK
    assert (asked.tick("limits"), asked.tick("rollouts")) == ("nothing to look at", "no challenger")
    (told,) = asked.records()
    assert (told["action"], told["reason"]) == ("rollback", "not loadable: it is broken")
    assert {"sensor:limits", "sensor:rollouts"} <= {beat.name for beat in stores.beats.list()}


def test_each_step_shows_on_the_deployment(platform: Platform, tmp_path: Path, stores: Stores) -> None:
    quick = RolloutPolicy(steps=(0.1,), shadow_hours=0, deadline_hours=0.01, min_canary_hours=0, soak_hours=0)
    with dg.DagsterInstance.ephemeral() as instance:
        spec = SPEC.model_copy(update={"rollout": quick})
        begin_rollout(stores)
        assert Asked(spec, platform, instance).tick("rollouts").startswith("hold: shadow")
        in_a_minute = SystemClock().now() + timedelta(minutes=1)
        asked = Asked(spec, PlatformAt(home=platform.home, now=in_a_minute.isoformat()), instance)
        assert asked.tick("rollouts").startswith("give_up: at the deadline")
        assert asked.tick("rollouts") == "no challenger"
        (told,) = asked.records()
    assert (told["action"], told["challenger"], told["canary"], told["canary_weight"]) == ("give_up", "1.1.0", "-", 0.0)
    assert "paired.superior" in str(told["evidence"])


def test_what_the_fuse_has_done_is_recorded_once(asked: Asked, stores: Stores) -> None:
    begin_rollout(stores)
    asked.tick("rollouts")
    stores.registry.withdraw(stores.registry.get(SPEC.model, "1.1.0"), reason="fuse: errors")
    assert asked.tick("limits") == "rollback: fuse: errors"
    assert asked.tick("limits") == "nothing to look at"
    (told,) = asked.records()
    assert told["reason"] == "fuse: errors"


def test_the_trouble_of_one_model_is_told_after_the_others_were_looked_at(
    asked: Asked, platform: Platform, stores: Stores
) -> None:
    """Whether it comes before them or after them; and what was done for the others stands."""
    begin_rollout(stores)
    asked.tick("rollouts")
    stores.registry.note_not_loaded(SPEC.model, "1.1.0", why="it is broken")
    before, after = (SPEC.model_copy(update={"model": model}) for model in ("a-model", "z-model"))
    for spec in (before, after):
        version = stores.registry.register(spec.model, Path(stores.settings.home) / "1.0.0.onnx", "1.0.0")
        stores.registry.transition(version, Stage.PRODUCTION, force=True, reason="a test")
        stores.rollouts.start(spec.model, "1.0.0", "1.1.0", spec.rollout, 1, SystemClock().now())
    with stores.rollouts._engine.begin() as connection:
        connection.exec_driver_sql("UPDATE rollouts SET body = '{}' WHERE model != 'my-model'")
    fleet = Asked(before, platform, asked.instance, SPEC, after)
    with pytest.raises(FleetError, match="2 of 3 models could not be looked at, the others were: a-model: .*z-model: "):
        fleet.tick("limits")
    assert stores.rollouts.list(SPEC.model)[-1].phase is Phase.ROLLED_BACK
    assert [told["action"] for told in fleet.records()] == ["rollback"]


@pytest.mark.parametrize("name", ["rollback", "rollout_by_hand"])
def test_the_emergency_path_is_kept_free(name: str) -> None:
    """Ahead of all that waits, in a process that is there, in no pool."""
    (job,) = [job for job in by_hand_jobs([SPEC]) if job.name == name]
    assert job.tags["dagster/priority"] == "100"
    assert job.executor_def is dg.in_process_executor
    (op,) = job.nodes
    assert isinstance(op.definition, dg.OpDefinition)
    assert op.definition.pool is None


def card_of(micro_f1: float) -> ModelCard:
    overall = CARD.evaluation[0]
    scored = overall.model_copy(update={"metrics": {**overall.metrics, "micro_f1": micro_f1}})
    return CARD.model_copy(update={"evaluation": (scored,)})


def gates_shown(instance: dg.DagsterInstance) -> bool | None:
    """Whether the last evaluation of `gates_open` passed, as the UI shows it; None before there was one."""
    key = dg.AssetCheckKey(key_of(SPEC, "registered_version"), "gates_open")
    records = instance.event_log_storage.get_asset_check_execution_history(key, limit=1)
    return records[0].status.value == "SUCCEEDED" if records else None


def test_a_first_version_that_is_refused_is_told_and_tried_again_when_its_gate_has_changed(
    asked: Asked, platform: Platform, stores: Stores
) -> None:
    register(stores, "1.0.0", card_of(0.80))
    register(stores, "1.0.1", card_of(0.85))
    for _ in range(2):
        assert "micro-F1 >= 0.91, and its card says 0.8500" in str(asked.tick("rollouts"))
    (alert,) = stores.alerts.list(SPEC.model)
    assert (alert.rule, alert.times, alert.evidence["gates"]) == ("no_champion", 2, ["quality_gate"])
    assert "`gates.min_micro_f1`" in alert.summary
    assert gates_shown(asked.instance) is False

    register(stores, "1.0.2")
    assert "a complete model card is required" in str(asked.tick("rollouts"))
    (alert,) = stores.alerts.list(SPEC.model)
    assert alert.evidence["version"] == "1.0.2"
    key = dg.AssetCheckKey(key_of(SPEC, "registered_version"), "gates_open")
    assert len(asked.instance.event_log_storage.get_asset_check_execution_history(key, limit=9)) == 2, "one for each"

    gates = GatePolicy(min_micro_f1=0.82)
    changed = Asked(SPEC.model_copy(update={"gates": gates}), platform, asked.instance)
    assert changed.tick("rollouts") == "promotion: the first version: no champion yet"
    assert gates_shown(asked.instance) is True
    assert stores.alerts.list(SPEC.model) == []
    assert stores.registry.deployment(SPEC.model).champion == "1.0.1"


def test_an_older_version_that_passes_is_the_first_champion_if_the_newest_does_not(
    asked: Asked, stores: Stores
) -> None:
    register(stores, "1.0.0", CARD)
    register(stores, "1.0.1", card_of(0.5))
    register(stores, "1.0.2")
    asked.tick("rollouts")
    assert stores.registry.deployment(SPEC.model).champion == "1.0.0"


def test_bytes_that_were_rolled_back_get_no_rollout_under_another_number(asked: Asked, stores: Stores) -> None:
    begin_rollout(stores)
    asked.tick("rollouts")
    bad = stores.registry.get(SPEC.model, "1.1.0")
    stores.registry.withdraw(bad, reason="it is wrong")
    assert asked.tick("limits") == "rollback: it is wrong"
    again = stores.registry.register(SPEC.model, Path(stores.settings.home) / "1.1.0.onnx", "1.1.1", card=CARD)
    assert again.digest == bad.digest
    assert asked.tick("rollouts") == "no challenger"
    (alert,) = stores.alerts.list(SPEC.model)
    assert (alert.rule, alert.done) == ("known_bad", "it gets no rollout")
    assert "1.1.1 has the bytes of 1.1.0, which was rolled back" in alert.summary
    with pytest.raises(KnownBadError):
        stores.registry.transition(again, Stage.PRODUCTION)
    register(stores, "1.2.0", CARD)
    assert str(asked.tick("rollouts")).startswith("hold: shadow")
    assert stores.alerts.list(SPEC.model) == []
    assert stores.rollouts.running(SPEC.model).challenger == "1.2.0"
