from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import pytest

from mlops_dagster.clock import ReplayedClock
from mlops_dagster.components import Platform
from mlops_dagster.rehearsal.orchestrator.daemon import Daemon
from mlops_dagster.rehearsal.orchestrator.instance import dagster_instance

START = datetime(2013, 3, 1, tzinfo=UTC)


class Told(dg.Config):
    time: str = ""


@dg.op
def tell(context: dg.OpExecutionContext, config: Told, platform: Platform) -> None:
    context.log.info(f"{config.time} at {platform.clock().now().isoformat()}")
    if "08:00" in config.time:
        raise RuntimeError("not at eight")


@dg.job
def telling() -> None:
    tell()


def request(time: datetime, run_key: str) -> dg.RunRequest:
    return dg.RunRequest(run_key=run_key, run_config=dg.RunConfig(ops={"tell": Told(time=time.isoformat())}))


@dg.asset
def stamped(platform: Platform) -> dg.MaterializeResult:  # type: ignore[type-arg]  # it has no value
    return dg.MaterializeResult(metadata={"at": platform.clock().now().isoformat()})


@dg.asset
def not_asked_for() -> None:
    raise AssertionError("it was not asked for")


@dg.schedule(cron_schedule="0 6 * * *", target=["stamped", "not_asked_for"], execution_timezone="UTC")
def a_part_at_six(context: dg.ScheduleEvaluationContext) -> dg.RunRequest:
    return dg.RunRequest(asset_selection=[dg.AssetKey("stamped")])


@dg.sensor(job=telling)
def every_two_hours(context: dg.SensorEvaluationContext, platform: Platform) -> dg.RunRequest:
    now = platform.clock().now()
    context.update_cursor(f"{int(context.cursor or 0) + 1}")
    return request(now, f"{now.hour // 2}-{now:%d}")


@dg.schedule(cron_schedule="0 6 * * *", job=telling, execution_timezone="UTC")
def at_six(context: dg.ScheduleEvaluationContext) -> dg.RunRequest:
    return request(context.scheduled_execution_time, f"six-{context.scheduled_execution_time:%d}")


@pytest.fixture
def instance(tmp_path: Path) -> Iterator[dg.DagsterInstance]:
    with dagster_instance(tmp_path / "dagster") as instance:
        yield instance


def times(instance: dg.DagsterInstance) -> list[str]:
    return [str(run.run_config["ops"]["tell"]["config"]["time"])[8:16] for run in reversed(instance.get_runs())]


def daemon(instance: dg.DagsterInstance, clock: ReplayedClock, ended: list[dg.DagsterRun], **parts: object) -> Daemon:
    definitions = dg.Definitions(jobs=[telling], resources={"platform": Platform()}, **parts)  # type: ignore[arg-type]  # sensors or schedules
    return Daemon(definitions, instance, clock, ended.append)


def test_a_sensor_sees_the_simulated_time_and_a_run_key_runs_once(instance: dg.DagsterInstance) -> None:
    clock, ended = ReplayedClock(START), list[dg.DagsterRun]()
    watched = daemon(instance, clock, ended, sensors=[every_two_hours])
    for hour in range(5, 10):
        clock.advance_to(START + timedelta(hours=hour))
        watched.evaluate_sensors()
    assert times(instance) == ["01T05:00", "01T06:00", "01T08:00"]
    assert [run.status.value for run in ended] == ["SUCCESS", "SUCCESS", "FAILURE"]
    tags = instance.get_runs()[-1].tags
    assert tags["dagster/sensor_name"] == "every_two_hours"
    assert tags["dagster/run_key"] == "2-01"
    assert tags[".dagster/repository"] == "__repository__@mlops_dagster"
    (line,) = [entry.user_message for entry in instance.all_logs(ended[0].run_id) if " at " in entry.user_message]
    assert line == "2013-03-01T05:00:00+00:00 at 2013-03-01T05:00:00+00:00"


def test_a_schedule_runs_its_latest_tick_once(instance: dg.DagsterInstance) -> None:
    clock, ended = ReplayedClock(START), list[dg.DagsterRun]()
    watched = daemon(instance, clock, ended, schedules=[at_six])
    for hour in (6, 14, 29, 30, 24 * 4):
        clock.advance_to(START + timedelta(hours=hour))
        watched.evaluate_schedules(clock.now())
    assert times(instance) == ["01T06:00", "02T06:00", "04T06:00"]


def test_a_part_of_a_job_runs_alone_and_at_the_simulated_time(instance: dg.DagsterInstance) -> None:
    clock, ended = ReplayedClock(START + timedelta(hours=6)), list[dg.DagsterRun]()
    daemon(instance, clock, ended, assets=[stamped, not_asked_for], schedules=[a_part_at_six]).evaluate_schedules(
        clock.now()
    )
    (run,) = ended
    assert run.is_success
    assert run.asset_selection == {dg.AssetKey("stamped")}
    made = instance.get_latest_materialization_event(dg.AssetKey("stamped"))
    assert made is not None
    assert made.asset_materialization is not None
    assert made.asset_materialization.metadata["at"].value == clock.now().isoformat()
