"""The simulated days: before the traffic, hour by hour, and until the last label is in."""

from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta
from types import TracebackType
from typing import Self

from mlops_dagster.clock import ReplayedClock
from mlops_dagster.registry import Deployment, ModelRegistry
from mlops_dagster.rehearsal.daemon import Daemon
from mlops_dagster.rehearsal.labels import Labels
from mlops_dagster.rehearsal.releases import Team
from mlops_dagster.rehearsal.scenario import Scenario
from mlops_dagster.rehearsal.stage import Stage
from mlops_dagster.rehearsal.traffic import HOUR, Hour

SCHEDULES_AT = 14
"""Hour of the day, UTC, at which schedules are evaluated: after those of noon, and a day of hours is one run."""


@dataclass
class Timeline:
    """One rehearsal under way. `on_hour` is told the time and the deployment after each simulated hour."""

    scenario: Scenario
    clock: ReplayedClock
    daemon: Daemon
    team: Team
    registry: ModelRegistry
    on_hour: Callable[[datetime, Deployment], None]

    def before_traffic(self) -> None:
        """Two releases are refused; then the first good version is trained and becomes champion."""
        start, prefix = self.scenario.start, self.scenario.prefix
        for hours, release in ((2, self.team.release_without_card), (1, self.team.release_under_gate)):
            at = start - timedelta(hours=hours)
            self.clock.advance_to(at)
            version = release(at)
            self.daemon.evaluate_sensors()
            self.team.take_back(version, at, "refused by the platform")
        self.clock.advance_to(start)
        first = {"as_of": start.isoformat(), "trigger": "first", "reason": "the model's first version"}
        self.daemon.run(
            f"{prefix}_retrain", {"ops": {f"{prefix}__training_set": {"config": first}}}, {"mlops/trigger": "first"}
        )
        self.daemon.evaluate_sensors()

    def play(self, hours: Sequence[Hour], stage: Stage) -> None:
        """Serve the traffic, deliver the labels, and let the platform do what it does."""
        labels = Labels()
        stage.wait_until_in_force()
        with Reports(self.daemon) as reports:
            for hour in hours:
                self._release_if_due(hour.start)
                self._hour(hour, stage, labels, reports)
            end = hours[-1].end
            while labels or end.hour != SCHEDULES_AT:  # the last day's reports too
                self._hour(Hour(end, []), stage, labels, reports)
                end += HOUR

    def _hour(self, hour: Hour, stage: Stage, labels: Labels, reports: "Reports") -> None:
        for label in stage.send(hour.requests):
            labels.add(label)
        delivered = stage.deliver(list(labels.due(hour.end)))
        self.clock.advance_to(hour.end)
        if hour.end.hour == SCHEDULES_AT:
            stage.flush(log=True)
            reports.finish()
            self.daemon.evaluate_sensors()
            reports.start(hour.end)
        elif hour.requests or delivered:
            stage.flush()
            # Of the sensors only this one, and `limits` whose deed it does too, looks at what may have changed.
            self.daemon.evaluate_sensor(f"{self.scenario.prefix}_rollout")
        stage.wait_until_in_force()
        self.on_hour(hour.end, self.registry.deployment(self.scenario.model))

    def _release_if_due(self, now: datetime) -> None:
        bad = self.scenario.bad_release
        if bad is not None and now <= bad.at < now + HOUR:
            self.team.release_in_other_units(bad)


class Reports:
    """A day's schedules at work beside the traffic of the next day, for the machine has more than one core."""

    def __init__(self, daemon: Daemon) -> None:
        self._daemon = daemon
        self._beside = ThreadPoolExecutor(max_workers=1)
        self._started: Future[None] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._beside.shutdown()
        if error is None:
            self.finish()

    def start(self, now: datetime) -> None:
        self._started = self._beside.submit(self._daemon.evaluate_schedules, now)

    def finish(self) -> None:
        """Wait for what was started; raises what it raised."""
        if self._started is not None:
            self._started.result()
