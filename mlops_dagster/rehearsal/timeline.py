"""The simulated time: before the traffic, hour by hour, and until the last label is in."""

from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from types import TracebackType
from typing import Self

from mlops_dagster.clock import ReplayedClock
from mlops_dagster.components.sensors.serving_versions import ROLLOUTS
from mlops_dagster.errors import RefusedError
from mlops_dagster.loop.registry_events.follow import follow_registry
from mlops_dagster.loop.watching import look
from mlops_dagster.registry import Deployment
from mlops_dagster.rehearsal.orchestrator.daemon import Daemon
from mlops_dagster.rehearsal.plan import Plan
from mlops_dagster.rehearsal.releases.bad_release import BadRelease
from mlops_dagster.rehearsal.releases.releases import Team
from mlops_dagster.rehearsal.stage import ServingStage
from mlops_dagster.rehearsal.summary.reading import last_failure
from mlops_dagster.rehearsal.traffic.labels import Labels
from mlops_dagster.rehearsal.traffic.traffic import HOUR, Hour
from mlops_dagster.stores import Stores

SCHEDULES_AT = 14
"""Hour of the day, UTC, at which schedules are evaluated: after those of noon, so that a day of hours is one run."""

REPORTS_WITHIN = timedelta(hours=49)
"""The reports of a day's hours are made at once, and are there a day later: no newer ones can be missed."""


@dataclass
class Timeline:
    """One rehearsal under way. `on_hour` is called with the time and the deployment after each simulated hour."""

    plan: Plan
    clock: ReplayedClock
    daemon: Daemon
    team: Team
    stores: Stores
    on_hour: Callable[[datetime, Deployment], None]
    bad_releases: Sequence[BadRelease] = ()
    released: list[tuple[str, BadRelease]] = field(default_factory=list)
    """The bad releases so far, with their versions."""

    def before_traffic(self) -> None:
        """Make two releases that are refused; then train the first good version and make it champion.

        Raises RefusedError if that version does not become champion.
        """
        start, prefix = self.plan.start, self.plan.prefix
        for hours, release in ((2, self.team.release_without_card), (1, self.team.release_under_gate)):
            at = start - timedelta(hours=hours)
            self.clock.advance_to(at)
            version = release(at)
            if version is not None:
                self.daemon.evaluate_sensors()
                self.team.take_back(version, at, "refused by the platform")
        self.clock.advance_to(start)
        first = {"as_of": start.isoformat(), "trigger": "first", "reason": "the model's first version"}
        self.daemon.run(
            f"{prefix}_retrain", {"ops": {f"{prefix}__training_set": {"config": first}}}, {"mlops/trigger": "first"}
        )
        self.daemon.evaluate_sensors()
        if self.stores.champion(self.plan.model) is None:
            raise RefusedError(
                f"the first version of {self.plan.model} did not become champion: "
                f"{last_failure(self.daemon.instance, prefix) or 'no run says why'}"
            )

    def play(self, hours: Sequence[Hour], stage: ServingStage) -> None:
        """Serve the traffic, deliver the labels, and run the platform's sensors and schedules."""
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

    def all_bad_releases(self) -> list[tuple[BadRelease, str | None]]:
        """Return the bad releases with their versions; None for one that the history was too short for."""
        versions: list[str | None] = [version for version, _ in self.released]
        versions += [None] * (len(self.bad_releases) - len(versions))
        return list(zip(self.bad_releases, versions, strict=True))

    def _hour(self, hour: Hour, stage: ServingStage, labels: Labels, reports: "Reports") -> None:
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
            # Only this sensor, and `limits` whose work it does too, depends on data that may have changed.
            self.daemon.evaluate_sensor(ROLLOUTS)
        if hour.requests or delivered:
            look(self.stores, hour.end, reports_within=REPORTS_WITHIN)
        follow_registry(self.stores)  # each hour, so that each event stands at its time in the feed
        stage.wait_until_in_force()
        self.on_hour(hour.end, self.stores.registry.deployment(self.plan.model))

    def _release_if_due(self, now: datetime) -> None:
        """Release the next bad release at its time, or later, when the rollout before it has ended."""
        number = len(self.released)
        if number == len(self.bad_releases):
            return
        bad = self.bad_releases[number]
        start, length = self.plan.start, self.plan.until - self.plan.start
        due = bad.at or start + (number + 1) / (len(self.bad_releases) + 1) * length
        if now + HOUR > due and self.stores.rollouts.active(self.plan.model) is None:
            self.released.append((self.team.release(bad, max(now, due)).version, bad))


class Reports:
    """The schedules of a day, run in parallel with the traffic of the next day to use a second core."""

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
        """Wait for the schedules that were started; raises their error."""
        if self._started is not None:
            self._started.result()
