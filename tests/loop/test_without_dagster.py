"""Ten days through the loop alone, in a process without Dagster, and through Dagster, which loses its home on the way.

Both leave the same reports, alerts and holds, and decide the same about retraining and the floor.
"""

import json
from collections import Counter
from contextlib import ExitStack, closing
from datetime import datetime
from pathlib import Path
from shutil import copytree, rmtree
from subprocess import PIPE
from typing import Any

import dagster as dg
import pytest

from mlops_dagster.clock import ReplayedClock
from mlops_dagster.components.compat import stay_in
from mlops_dagster.components.platform import Platform
from mlops_dagster.loop.apply_floor import apply_floor
from mlops_dagster.rehearsal.orchestrator.instance import dagster_instance
from mlops_dagster.settings import Settings
from mlops_dagster.stores import Stores
from tests.support.components.at_a_time import repository_of
from tests.support.forks import Forked
from tests.support.loop.ten_days import (
    LABELS_COME,
    SPEC,
    days,
    decision_times,
    deliver_late_labels,
    make_world,
    outcome,
    tell,
)

WIPED, PRUNED = days(6), days(9)
"""When DAGSTER_HOME is lost, and when Dagster's runs are deleted with all their events."""


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("world") / "home"
    make_world(home)
    return home


@pytest.fixture(scope="module")
def alone(world: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What the loop alone says, in a process that asserts that it has imported no Dagster."""
    home = copytree(world, tmp_path_factory.mktemp("alone") / "home")
    with Forked(tell, home, stdout=PIPE) as played:
        said = played.communicate()
    assert played.returncode == 0, "its traceback is above"
    found: dict[str, Any] = json.loads(said)
    return found


class Orchestrated:
    """The model's definitions as Dagster plays them at the time of a clock."""

    def __init__(self, home: Path) -> None:
        self.clock = clock = ReplayedClock(days(1))
        self.stores = stores = Stores(Settings(home=home), clock, actor="test")
        self._home = home.with_name("dagster")
        self._opened = ExitStack()
        self.instance = self._opened.enter_context(dagster_instance(self._home))

        class ReplayedPlatform(Platform):
            def clock(self) -> ReplayedClock:
                return clock

            def stores(self) -> Stores:
                return stores

        platform = ReplayedPlatform()
        self._resources = {"platform": platform}
        self._repository = repository_of(platform, SPEC)

    def wipe(self) -> None:
        """Lose DAGSTER_HOME."""
        self.close()
        rmtree(self._home)
        self.instance = self._opened.enter_context(dagster_instance(self._home))

    def close(self) -> None:
        self._opened.close()

    def prune(self) -> None:
        """Delete all runs, and what Dagster knows of the assets."""
        for run in self.instance.get_runs():
            self.instance.delete_run(run.run_id)
        self.instance.wipe_assets(self.instance.all_asset_keys())

    def launch_scheduled(self, name: str) -> None:
        """Evaluate a schedule, and execute what it asks for."""
        now = self.clock.now()
        context = dg.build_schedule_context(
            instance=self.instance,
            scheduled_execution_time=now,
            repository_def=self._repository,
            resources=self._resources,
        )
        stay_in(self.instance, context)
        with context:
            ticked = self._repository.get_schedule_def(name).evaluate_tick(context)
        for request in ticked.run_requests or ():
            job = self._repository.get_job(str(request.job_name))
            run = job.execute_in_process(
                instance=self.instance, asset_selection=request.asset_selection, tags=dict(request.tags)
            )
            assert run.success

    def sensor(self, name: str) -> tuple[dg.RunRequest | None, str]:
        """Return the request of a sensor, which is not launched, or why it makes none."""
        with dg.build_sensor_context(
            instance=self.instance, repository_def=self._repository, resources=self._resources
        ) as context:
            ticked = self._repository.get_sensor_def(name).evaluate_tick(context)
        return next(iter(ticked.run_requests or ()), None), str(ticked.skip_message)

    def decide(self) -> list[object]:
        """Return the decisions as `ten_days.decide` does; the floor's is not carried out, which its sensor would do."""
        asked, waits = self.sensor("retraining")
        training = {} if asked is None else asked.run_config["ops"]["flights__training_set"]["config"]
        floor = apply_floor(self.stores, SPEC)
        return [
            self.clock.now().isoformat(),
            training.get("trigger"),
            training.get("reason", waits.removeprefix(f"{SPEC.model}: ")),
            training.get("numbers", {}),
            [floor.bad, floor.to],
            floor.reason,
        ]


@pytest.fixture(scope="module")
def orchestrated(world: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What Dagster makes of the same days, with its home lost and its history pruned on the way."""
    home = copytree(world, tmp_path_factory.mktemp("orchestrated") / "home")
    decisions: list[object] = []
    before = days(0)
    with pytest.MonkeyPatch.context() as without_pages:
        without_pages.setenv("MLOPS_REPORT_ROWS", "0")
        without_pages.setattr("mlops_dagster.loop.shown.pages.profile_hours", lambda *_: {})
        without_pages.setattr("mlops_dagster.loop.shown.pages.publish", lambda *_args, **_more: None)
        with closing(Orchestrated(home)) as dagster:
            for now in decision_times():
                for at, happens in _incidents(dagster, home).items():
                    if before < at <= now:
                        happens()
                before = now
                dagster.clock.advance_to(now)
                dagster.launch_scheduled("hourly_monitoring_schedule")
                if now.hour == 12:
                    dagster.launch_scheduled("daily_performance_schedule")
                if now.hour == 13:
                    dagster.launch_scheduled("weekly_label_drift_schedule")
                decisions.append(dagster.decide())
    return {"decisions": decisions, **outcome(dagster.stores)}


def _incidents(dagster: Orchestrated, home: Path) -> dict[datetime, Any]:
    return {WIPED: dagster.wipe, PRUNED: dagster.prune, LABELS_COME: lambda: deliver_late_labels(home)}


def test_the_days_have_something_of_everything(alone: dict[str, Any]) -> None:
    """Else the same would be nothing."""
    verdicts = Counter((each["kind"], each["verdict"]) for each in alone["reports"])
    assert verdicts["validation", "failed"] == 1
    assert verdicts["drift", "retrain"] > 0
    assert verdicts["performance", "roll_back"] > 0
    assert verdicts["labels", "retrain"] + verdicts["labels", "stable"] + verdicts["labels", "monitor"] == 1
    assert [each["revision"] for each in alone["reports"] if each["kind"] == "performance"].count(2) == 1
    assert {"held", "released"} <= {kind for kind, _reason, _at in alone["events"]}
    assert {trigger for _now, trigger, *_rest in alone["decisions"]} > {None}
    assert ["1.0.0", "0.9.0"] in [back for *_rest, back, _reason in alone["decisions"]]


@pytest.mark.parametrize("what", ["reports", "alerts", "events", "decisions"])
def test_dagster_only_loads_calls_and_shows(alone: dict[str, Any], orchestrated: dict[str, Any], what: str) -> None:
    assert orchestrated[what] == alone[what]
