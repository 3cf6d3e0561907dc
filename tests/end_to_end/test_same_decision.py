"""One function decides: whoever looks at the same evidence comes to the same outcome, by the same tests to the bit."""

import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import dagster as dg
import pytest
from typer.testing import CliRunner

from mlops_dagster.cli import app
from mlops_dagster.clock import ReplayedClock, SystemClock
from mlops_dagster.components import Platform
from mlops_dagster.components.sensors.serving_versions import serving_sensors
from mlops_dagster.loop.spec import CardSpec, ModelSpec, TrainingSpec
from mlops_dagster.registry import Deployment, ModelCard, ModelVersion
from mlops_dagster.rehearsal.orchestrator.daemon import Daemon
from mlops_dagster.rehearsal.orchestrator.instance import dagster_instance
from mlops_dagster.rollout import Decision, Outcome
from mlops_dagster.rollout.replay import replay
from mlops_dagster.serving.service import Service
from mlops_dagster.settings import Settings
from mlops_dagster.stores import Stores
from tests.support.rollout_world import CARD, MODEL, POLICY, START, World
from tests.support.serving.data_plane import SCHEMA
from tests.support.serving.light import light_artifacts

SPEC = ModelSpec(
    model=MODEL,
    trainer="nobody.trains",
    training=TrainingSpec(dataset="made up"),
    card=CardSpec(intended_use="tests", failure_modes=("none",), contacts=("me",), fairness_attribute="carrier"),
    rollout=POLICY,
)


class Servable(World):
    """Its versions can be loaded, as the fuse asks. So they have classes, all of which need labels."""

    def register(self, version: str, card: ModelCard | None = CARD) -> ModelVersion:
        (path,) = {*light_artifacts(self.home, turns=len(version)).values()}
        return self.registry.register(MODEL, path, version, schema=SCHEMA, card=card)

    def serve_better(self) -> None:
        for truth in SCHEMA.task.truths:
            self.serve(wins=40, losses=5, ties=155, truth=truth, hours=0.75)


@dataclass(frozen=True)
class Found:
    """What somebody's look has led to."""

    outcome: Outcome
    tests: object
    """As the decision, and the event of what was done, keep them."""
    deployment: tuple[object, ...]

    @staticmethod
    def of(decision: Decision, deployment: Deployment) -> "Found":
        return Found(decision.outcome, decision.summary()["tests"], shown(deployment))


def shown(deployment: Deployment) -> tuple[object, ...]:
    return deployment.epoch, deployment.champion, deployment.canary, deployment.canary_weight, deployment.shadows


def decided(stores: Stores) -> Found:
    """The last decision about the model, and what has come of it."""
    last = stores.rollouts.last_decision(stores.rollouts.list(MODEL)[-1].id)
    assert last is not None
    assert not replay(last).differences
    return Found.of(last, stores.registry.deployment(MODEL))


# Who looks. Each is given a home of its own with the same evidence in it.


def controller(stores: Stores, folder: Path) -> Found:
    stores.controller(lambda _model: POLICY).tick(MODEL)
    return decided(stores)


def command_line(stores: Stores, folder: Path) -> Found:
    found = CliRunner().invoke(app, ["rollouts", "tick", MODEL])
    assert found.exit_code == 0, found.output
    return decided(stores)


def rollout_sensors() -> list[dg.SensorDefinition]:
    """Return `limits` and `rollouts`."""
    return [each for each in serving_sensors([SPEC]) if each.name != "headline_floor"]


def sensors(stores: Stores, folder: Path) -> Found:
    """As Dagster's daemon has them look, in whatever order."""
    with dg.DagsterInstance.local_temp(str(folder)) as instance:
        for sensor in rollout_sensors():
            with dg.build_sensor_context(instance, resources={"platform": Platform()}) as context:
                assert not sensor.evaluate_tick(context).run_requests
    return decided(stores)


def rehearsal(stores: Stores, folder: Path) -> Found:
    runs: list[dg.DagsterRun] = []
    with dagster_instance(folder / "dagster") as instance:
        definitions = dg.Definitions(sensors=rollout_sensors(), resources={"platform": Platform()})
        daemon = Daemon(definitions, instance, ReplayedClock(SystemClock().now()), runs.append)
        daemon.evaluate_sensors()
    assert all(run.is_success for run in runs)
    return decided(stores)


def fuse(stores: Stores, folder: Path) -> Found:
    """It only ever rolls back: for everything else it lets the deployment be, and decides nothing."""
    service = Service(stores.settings, SystemClock())
    try:
        service.deployments.refresh()
        service.deployments.wait_for_loads(20)
        service.deployments.refresh()
        service.fuse.check()
        service.fuse.tell()
    finally:
        service.stop()
    deployment, last = stores.registry.deployment(MODEL), stores.registry.history(MODEL)[-1]
    if last.kind != "rollback":
        return Found(Outcome.HOLD, None, shown(deployment))
    assert last.actor == "data plane"
    return Found(Outcome.ROLLBACK, last.evidence["tests"], shown(deployment))


OBSERVERS: Mapping[str, Callable[[Stores, Path], Found]] = {
    "command line": command_line,
    "sensors": sensors,
    "rehearsal": rehearsal,
}


def first_step(world: Servable) -> None:
    world.register("1.1.0")
    world.reach(1)


def last_step(world: Servable) -> None:
    world.register("1.1.0")
    world.reach(2)


def the_watch(world: Servable) -> None:
    world.register("1.1.0")
    world.promote()


@dataclass(frozen=True)
class Evidence:
    """A rollout that was brought to some point, what it has seen there, and what is to become of it."""

    reached: Callable[[Servable], None]
    seen: Callable[[Servable], None]
    outcome: Outcome


EVIDENCE = {
    "too little": Evidence(first_step, lambda world: world.serve(wins=1, ties=9), Outcome.HOLD),
    "as good": Evidence(first_step, World.serve_equal, Outcome.ADVANCE),
    "wrong": Evidence(first_step, World.serve_worse, Outcome.ROLLBACK),
    "failing": Evidence(last_step, lambda world: world.serve(errors=40, ties=60), Outcome.ROLLBACK),
    "better": Evidence(last_step, Servable.serve_better, Outcome.PROMOTE),
    "wrong since the promotion": Evidence(the_watch, World.serve_worse, Outcome.ROLLBACK),
}


@pytest.mark.parametrize("name", EVIDENCE)
def test_all_who_look_reach_the_same_decision(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    evidence = EVIDENCE[name]
    origin = tmp_path / "origin"
    origin.mkdir()
    # All look at the same time: what has failed for so many minutes is other evidence a minute later. It is of the day
    # on which all has happened: with evidence that changes, as here, days would differ.
    now = START + timedelta(hours=12)
    monkeypatch.setattr(SystemClock, "now", lambda clock: now)
    world = Servable(origin, now - timedelta(hours=9))
    world.champion()
    evidence.reached(world)
    world.later((now - timedelta(minutes=90.5) - world.clock.now()) / timedelta(hours=1))
    evidence.seen(world)
    before = shown(world.deployment)
    world.close()

    def look(name: str, observe: Callable[[Stores, Path], Found]) -> Found:
        home = tmp_path / name
        shutil.copytree(origin, home)
        monkeypatch.setenv("MLOPS_HOME", str(home))
        stores = Stores(Settings(), actor="test")
        folder = tmp_path / f"{name} at work"
        folder.mkdir()
        try:
            return observe(stores, folder)
        finally:
            stores.registry.close()
            stores.rollouts.close()
            stores.local_rollups.close()

    expected = look("controller", controller)
    assert expected.outcome is evidence.outcome
    assert (expected.deployment == before) == (evidence.outcome is Outcome.HOLD)
    for each, observe in OBSERVERS.items():
        assert look(each, observe) == expected, each
    cut = look("fuse", fuse)
    assert cut == (expected if evidence.outcome is Outcome.ROLLBACK else Found(Outcome.HOLD, None, before))
