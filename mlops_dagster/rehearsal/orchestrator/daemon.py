"""Replacement for Dagster's daemon at simulated times: evaluates schedules and sensors, and runs their requests."""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from threading import Lock
from typing import cast

import dagster as dg

from mlops_dagster.clock import ReplayedClock
from mlops_dagster.components import Platform
from mlops_dagster.components.compat import RUN_KEY_TAG, copy, reverse_cron_string_iterator, stay_in
from mlops_dagster.settings import Settings
from mlops_dagster.stores import Stores

QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
"""Run configuration that silences the terminal for the rehearsal's messages; the event log has all of Dagster's."""

REPOSITORY_TAG = ".dagster/repository"


class Daemon:
    """A daemon that evaluates the definitions at the time of `clock`.

    Runs are executed at once, in this process, on `instance`; a run key is run only once, as with Dagster's daemon.
    """

    def __init__(
        self,
        definitions: dg.Definitions,
        instance: dg.DagsterInstance,
        clock: ReplayedClock,
        on_run: Callable[[dg.DagsterRun], None],
        code_location: str = "mlops_dagster",
    ) -> None:
        self._resources: Mapping[str, object] = {"platform": _platform_at(clock)}
        # Replaced here, not for each run: Dagster cannot override a resource in a run of a part of a job.
        replayed = copy(definitions, resources={**(definitions.resources or {}), **self._resources})
        self._repository = replayed.get_repository_def()
        self.instance = instance
        # The location's name in `workspace.yaml`: by this tag the UI lists the runs under their job.
        self._origin = f"{self._repository.name}@{code_location}"
        self._on_run = on_run
        # Dagster configures logging for each run: two that begin and log at the same time wait for each other.
        self._one_run = Lock()
        self._cursors: dict[str, str | None] = {}
        self._last_ticks: dict[str, datetime] = {}

    def evaluate_sensors(self) -> None:
        """Evaluate every sensor once."""
        for sensor in self._repository.sensor_defs:
            self.evaluate_sensor(sensor.name)

    def evaluate_sensor(self, name: str) -> None:
        """Evaluate one sensor once, and execute the runs that it requests."""
        sensor = self._repository.get_sensor_def(name)
        context = dg.build_sensor_context(
            instance=self.instance,
            cursor=self._cursors.get(name),
            repository_def=self._repository,
            sensor_name=name,
            resources=self._resources,
        )
        with context:
            evaluated = sensor.evaluate_tick(context)
        self._cursors[name] = evaluated.cursor
        for event in evaluated.asset_events:
            self.instance.report_runless_asset_event(event)
        for request in evaluated.run_requests or []:
            self._request(request.job_name or sensor.job_name, request)

    def evaluate_schedules(self, now: datetime) -> None:
        """Evaluate every schedule at its latest tick up to `now`, unless that tick was evaluated before."""
        for schedule in self._repository.schedule_defs:
            tick = _last_tick(schedule, now)
            if tick <= self._last_ticks.get(schedule.name, datetime.min.replace(tzinfo=UTC)):
                continue
            self._last_ticks[schedule.name] = tick
            context = dg.build_schedule_context(
                instance=self.instance,
                scheduled_execution_time=tick,
                repository_def=self._repository,
                resources=self._resources,
            )
            stay_in(self.instance, context)
            with context:
                evaluated = schedule.evaluate_tick(context)
            for request in evaluated.run_requests or []:
                self._request(request.job_name or schedule.job_name, request)

    def run(
        self,
        job_name: str,
        run_config: Mapping[str, object],
        tags: Mapping[str, str],
        asset_selection: Sequence[dg.AssetKey] | None = None,
    ) -> dg.DagsterRun:
        """Execute a job, or some assets of it, as if a user had launched it."""
        job = self._repository.get_job(job_name)
        with self._one_run:
            result = job.execute_in_process(
                run_config={**run_config, **QUIET},
                instance=self.instance,
                asset_selection=asset_selection,
                tags={**tags, REPOSITORY_TAG: self._origin},
                raise_on_error=False,
            )
        self._on_run(result.dagster_run)
        return result.dagster_run

    def _request(self, job_name: str | None, request: dg.RunRequest) -> None:
        if job_name is None:
            raise dg.DagsterInvariantViolationError(f"a run request without a job: {request}")
        tags = dict(request.tags)
        if request.run_key is not None:
            tags[RUN_KEY_TAG] = request.run_key
            if self.instance.get_runs_count(dg.RunsFilter(job_name=job_name, tags={RUN_KEY_TAG: request.run_key})):
                return
        self.run(job_name, request.run_config, tags, request.asset_selection)


def _last_tick(schedule: dg.ScheduleDefinition, now: datetime) -> datetime:
    cron = cast("str", schedule.cron_schedule)  # a schedule may have several crons; ours have one
    ticks = reverse_cron_string_iterator(now.timestamp(), cron, schedule.execution_timezone)
    return next(ticks).astimezone(UTC)


def _platform_at(clock: ReplayedClock) -> Platform:
    """Return a platform at the time of `clock`, with stores that stay open."""
    stores = Stores(Settings(), clock, actor="dagster")

    class ReplayedPlatform(Platform):
        def clock(self) -> ReplayedClock:
            return clock

        def stores(self) -> Stores:
            return stores

    return ReplayedPlatform()
