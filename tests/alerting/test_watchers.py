"""Whatever of the watchers stops for five minutes, somebody is told within six; by a clock that the test sets."""

from collections.abc import Sequence
from datetime import timedelta

import pytest

from mlops_dagster.alerting import DELIVERY_BEAT, Beats, tell_silent
from mlops_dagster.alerting.silent import SILENT_AFTER
from tests.support.channels.world import World

WATCHERS = (
    "sensor:alerts",
    "sensor:limits",
    "sensor:rollouts",
    "sensor:alert_delivery",
    "duty:log",
    "duty:watchers",
    DELIVERY_BEAT,
)
STEP = timedelta(seconds=30)
"""Each of them works once in a step, and beats."""


class Watchers:
    """Sensors and duties, each of which works until it is stopped."""

    def __init__(self, world: World) -> None:
        self.world, self.beats = world, Beats(world.database, world.clock)

    def work(self, steps: int, stopped: Sequence[str] = ()) -> None:
        for _ in range(steps):
            working = set(WATCHERS) - set(stopped)
            for name in working:
                self.beats.beat(name, 2 * STEP)
            if working & {"sensor:alerts", "duty:watchers"}:
                tell_silent(self.world.alerts, self.beats.list(), self.world.clock.now())
            if working & {"sensor:alert_delivery", DELIVERY_BEAT}:
                self.world.delivery.deliver("oncall")
            self.world.clock.advance_to(self.world.clock.now() + STEP)

    def told(self) -> set[str]:
        """The silent ones that people know of: by the pager."""
        return {key.partition("watcher_silent:")[2] for key in self.world.pager.open}


STOPS = {
    "daemon": [name for name in WATCHERS if name.startswith("sensor:")],
    "data plane": [name for name in WATCHERS if name.startswith("duty:")],
    **{name: [name] for name in ("sensor:alerts", "sensor:limits", "duty:log")},
}


@pytest.mark.parametrize("stop", STOPS)
def test_what_stops_is_told_within_six_minutes_and_ends_when_it_works_again(world: World, stop: str) -> None:
    watchers = Watchers(world)
    watchers.work(2)
    watchers.work(SILENT_AFTER // STEP - 1, STOPS[stop])
    assert watchers.told() == set(), "a pause wakes nobody"
    watchers.work(4, STOPS[stop])
    assert watchers.told() == set(STOPS[stop])
    watchers.work(2)
    assert watchers.told() == set()
    watchers.beats.close()
