"""A canary that fails one request in twenty, under traffic and the real `dagster dev`: how soon is it out of traffic?

The fleet has a hundred models with twenty running rollouts; an hourly run of all of them and a retraining are under
way. Two times are told apart: from the first bad request to the proof, which is a matter of arithmetic and traffic, and
from the proof to the canary's last answer, which is a matter of the platform.
"""

import signal
import sys
from collections.abc import Iterator

import dagster as dg
import pytest

from mlops_dagster.components.partitions import HOURLY
from mlops_dagster.registry import Stage
from mlops_dagster.rollout import Phase, Rollout
from mlops_dagster.settings import Settings
from mlops_dagster.stores import Stores
from tests.support.components.fleet import ROLLOUTS, at_work, fleet_files, make_fleet, names, work
from tests.support.components.orchestrated import Orchestrator, dagster_dev
from tests.support.components.reaction import (
    MODEL,
    RATE,
    WITH_FUSE_SECONDS,
    WITHOUT_FUSE_SECONDS,
    Reaction,
    begin_rollout,
    react,
    register,
)
from tests.support.serving.data_plane import ForkedServer, Server, eventually

OTHERS = names(models=100)

pytestmark = pytest.mark.timeout(900)


@pytest.fixture(scope="module")
def stores(tmp_path_factory: pytest.TempPathFactory) -> Stores:
    """With champions that answer; that of `live` takes any carrier."""
    stores = Stores(Settings(home=tmp_path_factory.mktemp("home")), actor="test")
    stores.registry.transition(register(stores, "1.0.0", unknown="ignore"), Stage.PRODUCTION)
    make_fleet(stores, OTHERS)
    return stores


@pytest.fixture(scope="module")
def orchestrator(stores: Stores, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Orchestrator]:
    project = tmp_path_factory.mktemp("project")
    with dagster_dev(project, stores.settings.home, fleet_files(OTHERS), seconds=300) as orchestrator:
        yield orchestrator


def tell(capsys: pytest.CaptureFixture[str], found: object) -> None:
    with capsys.disabled():
        sys.stdout.write(f"\n  {found}\n")


def under_load(
    stores: Stores,
    orchestrator: Orchestrator,
    server: Server,
    rollout: Rollout,
    capsys: pytest.CaptureFixture[str],
) -> Reaction:
    """React while the fleet's work is under way; the other rollouts are left alone."""
    work(orchestrator, OTHERS[-1])
    found = react(stores, server, rollout)
    tell(capsys, f"{found}; the hourly run is {'under way' if at_work(orchestrator, HOURLY.job) else 'over'}")
    assert found.requests_a_second > 0.2 * RATE, "on a machine that is full on purpose"
    others = set(stores.rollouts.running_models()) - {MODEL}  # which the sensor closes after the fuse
    assert others == set(OTHERS[: ROLLOUTS - 1])
    return found


def rollbacks(orchestrator: Orchestrator) -> list[dict[str, object]]:
    """The rollbacks that the asset `deployment` shows."""
    found = orchestrator.instance.fetch_materializations(dg.AssetKey([MODEL, "deployment"]), limit=100).records
    made = [each.asset_materialization for each in found if each.asset_materialization is not None]
    shown = [{name: value.value for name, value in each.metadata.items()} for each in made]
    return [each for each in shown if each["action"] == "rollback"]


def test_without_the_fuse_the_sensor_takes_it_out(
    stores: Stores, orchestrator: Orchestrator, capsys: pytest.CaptureFixture[str]
) -> None:
    rollout = begin_rollout(stores, "1.1.0")
    server = ForkedServer(stores.settings.home, MLOPS_FUSE="false")
    try:
        found = under_load(stores, orchestrator, server, rollout, capsys)
    finally:
        server.stop(signal.SIGTERM)
    assert found.to_proof + found.to_zero < WITHOUT_FUSE_SECONDS
    taken_out = [event for event in stores.registry.history(MODEL) if event.kind == "rollback"]
    assert [(event.version, event.actor) for event in taken_out] == [("1.1.0", "dagster")]
    assert taken_out[0].reason.startswith("proven worse")
    (record,) = eventually(lambda: rollbacks(orchestrator))
    assert record["challenger"] == "1.1.0"
    assert stores.rollouts.get(rollout.id).phase is Phase.ROLLED_BACK


def test_with_the_fuse_it_is_out_before_anyone_looks(
    stores: Stores, orchestrator: Orchestrator, capsys: pytest.CaptureFixture[str]
) -> None:
    done = len(rollbacks(orchestrator))
    rollout = begin_rollout(stores, "1.2.0")
    server = ForkedServer(stores.settings.home)
    try:
        found = under_load(stores, orchestrator, server, rollout, capsys)
    finally:
        server.stop(signal.SIGTERM)
    assert found.to_zero < WITH_FUSE_SECONDS
    taken_out = next(event for event in reversed(stores.registry.history(MODEL)) if event.kind == "rollback")
    assert (taken_out.version, taken_out.actor) == ("1.2.0", "data plane")
    # The sensor puts it on record.
    eventually(lambda: len(rollbacks(orchestrator)) == done + 1, seconds=60)
    assert stores.rollouts.get(rollout.id).reason.startswith("fuse: proven worse")


def test_the_sensors_are_quick(orchestrator: Orchestrator, capsys: pytest.CaptureFixture[str]) -> None:
    """No slow call inside a sensor: each tick is over before the next, on a machine that is full on purpose."""
    for sensor, interval in (("limits", 10), ("rollouts", 30)):
        ticks = orchestrator.ticks(sensor)
        seconds = sorted(tick.end_timestamp - tick.timestamp for tick in ticks if tick.end_timestamp)
        tell(capsys, f"{sensor}: {len(seconds)} ticks, median {seconds[len(seconds) // 2]:.2f} s")
        assert not [tick.error for tick in ticks if tick.error]
        assert seconds[len(seconds) // 2] < interval
