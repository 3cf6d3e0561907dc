"""What the two sensors ask for, on a real registry."""

from collections.abc import Iterator, Mapping
from datetime import timedelta
from pathlib import Path

import dagster as dg
import pytest

from mlops_dagster.clock import SystemClock
from mlops_dagster.components.jobs.manual_actions import by_hand_defs
from mlops_dagster.components.jobs.rollout import rollout_defs
from mlops_dagster.components.keys import key_of
from mlops_dagster.components.platform import Platform
from mlops_dagster.errors import KnownBadError
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

    def __init__(self, spec: ModelSpec, platform: Platform, instance: dg.DagsterInstance) -> None:
        self._platform, self.instance = platform, instance
        self.repository = dg.Definitions.merge(
            rollout_defs(spec), dg.Definitions(resources={"platform": platform})
        ).get_repository_def()

    def tick(self, sensor: str) -> dg.RunRequest | str:
        """The run that is asked for, or why none is."""
        with dg.build_sensor_context(
            self.instance, repository_def=self.repository, sensor_name=sensor, resources={"platform": self._platform}
        ) as context:
            asked = self.repository.get_sensor_def(sensor).evaluate_tick(context)
        for event in asked.asset_events:
            self.instance.report_runless_asset_event(event)
        return asked.run_requests[0] if asked.run_requests else str(asked.skip_message)

    def run(self, request: dg.RunRequest) -> None:
        job = self.repository.get_job(str(request.job_name))
        tags = {**request.tags, "dagster/run_key": str(request.run_key)}
        assert job.execute_in_process(request.run_config, self.instance, tags=tags).success


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


def config_of(request: dg.RunRequest | str) -> Mapping[str, object]:
    assert isinstance(request, dg.RunRequest), request
    ((_, op),) = request.run_config["ops"].items()
    return {"job": request.job_name, "key": request.run_key, **op["config"]}


def test_the_very_first_version_is_promoted_if_the_gates_let_it(asked: Asked, stores: Stores) -> None:
    assert "no version of my-model yet" in str(asked.tick("my_model_rollout"))
    register(stores, "0.9.0", CARD)
    register(stores, "1.0.0", CARD)
    found = asked.tick("my_model_rollout")
    assert config_of(found).items() >= {"job": "my_model_promote", "version": "1.0.0", "decision": 0}.items()
    assert config_of(asked.tick("my_model_rollout"))["key"] == config_of(found)["key"], "which Dagster runs once"
    assert "nothing is proven" in str(asked.tick("my_model_limits"))
    assert isinstance(found, dg.RunRequest)
    asked.run(found)
    assert stores.registry.deployment(SPEC.model).champion == "1.0.0"
    assert asked.tick("my_model_rollout") == "no challenger"


def test_the_very_first_version_waits_for_who_must_approve(asked: Asked, platform: Platform, stores: Stores) -> None:
    strict = Asked(SPEC.model_copy(update={"gates": GatePolicy(approvers=("grace",))}), platform, asked.instance)
    register(stores, "1.0.0", CARD)
    assert strict.tick("my_model_rollout") == "1.0.0 waits for approval: grace"
    assert stores.registry.deployment(SPEC.model).champion is None


def test_two_sensors_that_find_the_same_start_one_rollback(asked: Asked, platform: Platform, stores: Stores) -> None:
    begin_rollout(stores)
    assert str(asked.tick("my_model_rollout")).startswith("hold: shadow")
    wider = SPEC.rollout.model_copy(update={"margin": 0.03})
    changed = Asked(SPEC.model_copy(update={"rollout": wider}), platform, asked.instance)
    kept = "; it keeps the policy it began with; as written now, margin will hold for the next rollout"
    assert str(changed.tick("my_model_rollout")).endswith(kept)
    assert not str(asked.tick("my_model_rollout")).endswith(kept)
    assert "nothing is proven" in str(asked.tick("my_model_limits"))
    stores.registry.note_not_loaded(SPEC.model, "1.1.0", why="it is broken")
    first = asked.tick("my_model_limits")
    assert config_of(first).items() >= {"job": "my_model_rollback", "reason": "not loadable: it is broken"}.items()
    assert config_of(asked.tick("my_model_rollout"))["key"] == config_of(first)["key"]
    queued = {"dagster/run_key": str(config_of(first)["key"])}
    assert isinstance(first, dg.RunRequest)
    job = asked.repository.get_job("my_model_rollback")
    run = asked.instance.create_run_for_job(job, run_config=dict(first.run_config), tags=queued)
    for sensor in ("my_model_limits", "my_model_rollout"):
        assert asked.tick(sensor) == "rollback under way: not loadable: it is broken"
    asked.instance.delete_run(run.run_id)
    asked.run(first)
    assert stores.rollouts.list(SPEC.model)[-1].phase is Phase.ROLLED_BACK
    assert asked.tick("my_model_rollout") == "no challenger"


def test_each_step_shows_on_the_deployment(platform: Platform, tmp_path: Path, stores: Stores) -> None:
    quick = RolloutPolicy(steps=(0.1,), shadow_hours=0, deadline_hours=0.01, min_canary_hours=0, soak_hours=0)
    with dg.DagsterInstance.ephemeral() as instance:
        spec = SPEC.model_copy(update={"rollout": quick})
        begin_rollout(stores)
        assert str(Asked(spec, platform, instance).tick("my_model_rollout")).startswith("hold: shadow")
        in_a_minute = SystemClock().now() + timedelta(minutes=1)
        asked = Asked(spec, PlatformAt(home=platform.home, now=in_a_minute.isoformat()), instance)
        assert str(asked.tick("my_model_rollout")).startswith("give_up: at the deadline")
        assert asked.tick("my_model_rollout") == "no challenger"
        (told,) = instance.fetch_materializations(key_of(SPEC, "deployment"), limit=5).records
    assert told.asset_materialization is not None
    shown = {name: value.value for name, value in told.asset_materialization.metadata.items()}
    assert (shown["action"], shown["challenger"], shown["canary"], shown["canary_weight"]) == (
        "give_up",
        "1.1.0",
        "-",
        0.0,
    )
    assert "paired.superior" in str(shown["evidence"])


def test_what_the_fuse_has_done_is_run_once_for_the_record(asked: Asked, stores: Stores) -> None:
    begin_rollout(stores)
    asked.tick("my_model_rollout")
    stores.registry.withdraw(stores.registry.get(SPEC.model, "1.1.0"), reason="fuse: errors")
    found = asked.tick("my_model_limits")
    assert config_of(found).items() >= {"job": "my_model_rollback", "reason": "fuse: errors"}.items()
    assert isinstance(found, dg.RunRequest)
    asked.run(found)
    asked.run(found)  # a second run finds nothing to do, and says nothing
    (told,) = asked.instance.fetch_materializations(key_of(SPEC, "deployment"), limit=5).records
    assert told.asset_materialization is not None
    assert told.asset_materialization.metadata["reason"].value == "fuse: errors"
    assert "nothing is proven" in str(asked.tick("my_model_limits"))


@pytest.mark.parametrize("name", ["my_model_rollback", "my_model_rollout_by_hand"])
def test_the_emergency_path_is_kept_free(name: str) -> None:
    """Ahead of all that waits, in a process that is there, in a pool that nothing else is in."""
    jobs = [*(rollout_defs(SPEC).jobs or ()), *(by_hand_defs(SPEC).jobs or ())]
    (job,) = [job for job in jobs if job.name == name]
    assert isinstance(job, dg.JobDefinition)
    assert job.tags["dagster/priority"] == "100"
    assert job.executor_def is dg.in_process_executor
    (op,) = job.nodes
    assert isinstance(op.definition, dg.OpDefinition)
    assert op.definition.pool == "my_model_emergency"


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
        assert "micro-F1 >= 0.91, and its card says 0.8500" in str(asked.tick("my_model_rollout"))
    (alert,) = stores.alerts.list(SPEC.model)
    assert (alert.rule, alert.times, alert.evidence["gates"]) == ("no_champion", 2, ["quality_gate"])
    assert "`gates.min_micro_f1`" in alert.summary
    assert gates_shown(asked.instance) is False

    register(stores, "1.0.2")
    assert "a complete model card is required" in str(asked.tick("my_model_rollout"))
    (alert,) = stores.alerts.list(SPEC.model)
    assert alert.evidence["version"] == "1.0.2"
    key = dg.AssetCheckKey(key_of(SPEC, "registered_version"), "gates_open")
    assert len(asked.instance.event_log_storage.get_asset_check_execution_history(key, limit=9)) == 2, "one for each"

    gates = GatePolicy(min_micro_f1=0.82)
    changed = Asked(SPEC.model_copy(update={"gates": gates}), platform, asked.instance)
    found = changed.tick("my_model_rollout")
    assert config_of(found)["version"] == "1.0.1"
    assert gates_shown(asked.instance) is True
    assert stores.alerts.list(SPEC.model) == []
    assert isinstance(found, dg.RunRequest)
    changed.run(found)
    assert stores.registry.deployment(SPEC.model).champion == "1.0.1"


def test_an_older_version_that_passes_is_the_first_champion_if_the_newest_does_not(
    asked: Asked, stores: Stores
) -> None:
    register(stores, "1.0.0", CARD)
    register(stores, "1.0.1", card_of(0.5))
    register(stores, "1.0.2")
    assert config_of(asked.tick("my_model_rollout"))["version"] == "1.0.0"


def test_bytes_that_were_rolled_back_get_no_rollout_under_another_number(asked: Asked, stores: Stores) -> None:
    begin_rollout(stores)
    asked.tick("my_model_rollout")
    bad = stores.registry.get(SPEC.model, "1.1.0")
    stores.registry.withdraw(bad, reason="it is wrong")
    found = asked.tick("my_model_limits")
    assert isinstance(found, dg.RunRequest)
    asked.run(found)
    again = stores.registry.register(SPEC.model, Path(stores.settings.home) / "1.1.0.onnx", "1.1.1", card=CARD)
    assert again.digest == bad.digest
    assert asked.tick("my_model_rollout") == "no challenger"
    (alert,) = stores.alerts.list(SPEC.model)
    assert (alert.rule, alert.done) == ("known_bad", "it gets no rollout")
    assert "1.1.1 has the bytes of 1.1.0, which was rolled back" in alert.summary
    with pytest.raises(KnownBadError):
        stores.registry.transition(again, Stage.PRODUCTION)
    register(stores, "1.2.0", CARD)
    assert str(asked.tick("my_model_rollout")).startswith("hold: shadow")
    assert stores.alerts.list(SPEC.model) == []
    assert stores.rollouts.running(SPEC.model).challenger == "1.2.0"
