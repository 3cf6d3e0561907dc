"""One rehearsal, from an empty home to its summary."""

import signal
import threading
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from types import FrameType
from typing import cast

import dagster as dg

from mlops_dagster.clock import ReplayedClock
from mlops_dagster.rehearsal.client import Client
from mlops_dagster.rehearsal.daemon import Daemon
from mlops_dagster.rehearsal.display import Display
from mlops_dagster.rehearsal.home import fresh_home
from mlops_dagster.rehearsal.instance import dagster_instance, only_settings
from mlops_dagster.rehearsal.reading import read_summary
from mlops_dagster.rehearsal.releases import Team
from mlops_dagster.rehearsal.scenario import Scenario
from mlops_dagster.rehearsal.server import data_plane
from mlops_dagster.rehearsal.stage import Stage
from mlops_dagster.rehearsal.summary import Summary
from mlops_dagster.rehearsal.timeline import Timeline
from mlops_dagster.rehearsal.traffic import Recorded, hours
from mlops_dagster.retraining.trainer import load_trainer
from mlops_dagster.settings import Settings
from mlops_dagster.wiring import House

DEFAULT_HOME = Path(".mlops/demo")


def rehearse(scenario: Scenario | None = None, home: Path = DEFAULT_HOME, display: Display | None = None) -> Summary:
    """Play `scenario` in `home`, which is emptied first, and return what has happened; it is in `summary.json` too.

    Raises HomeNotWritableError, AlreadyRunningError if a rehearsal runs in `home`, InvalidInputError if `home` holds
    what no rehearsal has made, and ServerError if the data plane does not do its part.
    """
    scenario = scenario or Scenario()
    display = display or Display(scenario)
    begun = time.monotonic()
    with fresh_home(home) as home, ending_on_sigterm(), _platform(scenario, home) as instance, display:
        house = House(Settings(), ReplayedClock(scenario.until))
        timeline = _timeline(scenario, house, instance, display)
        display.phase("Before the traffic: two versions are refused, the first good one is trained and promoted")
        timeline.before_traffic()
        traffic = list(hours(cast("Recorded", timeline.team.trainer), scenario.start, scenario.until))
        recorded = sum(len(hour.requests) for hour in traffic)
        display.phase(f"Serving {recorded:,} recorded requests over {scenario.days:.0f} days, each at its own time")
        display.traffic(len(traffic))
        with data_plane(home) as address, Client(*address) as client:
            timeline.play(traffic, Stage(scenario.model, client, house.registry))
        summary = read_summary(scenario, house, instance, recorded=recorded, wall_seconds=time.monotonic() - begun)
        summary.write(home / "summary.json")
    display.show(summary, home)
    return summary


def _timeline(scenario: Scenario, house: House, instance: dg.DagsterInstance, display: Display) -> Timeline:
    from mlops_dagster.definitions import defs  # reads the settings: after the environment is set

    clock = ReplayedClock(scenario.start - timedelta(days=1))
    team = Team(house.settings, scenario.model, load_trainer(scenario.trainer))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", dg.BetaWarning)  # what we use of it is said where it is used
        daemon = Daemon(defs(), instance, clock, display.run)
    return Timeline(scenario, clock, daemon, team, house.registry, display.hour)


@contextmanager
def _platform(scenario: Scenario, home: Path) -> Iterator[dg.DagsterInstance]:
    """The settings by which everything finds this home and nothing else, and a Dagster instance in it."""
    since, until = scenario.reported
    settings = only_settings(
        MLOPS_HOME=str(home),
        MLOPS_SINCE=since.isoformat(),
        MLOPS_UNTIL=until.isoformat(),
        MLOPS_REPORT_ROWS="0",  # a second for each of seventy days
    )
    with settings, dagster_instance(home / "dagster") as instance:
        yield instance


@contextmanager
def ending_on_sigterm() -> Iterator[None]:
    """Let SIGTERM unwind the stack as Ctrl-C does, so that the data plane is stopped too."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(_number: int, _frame: FrameType | None) -> None:
        raise SystemExit(128 + signal.SIGTERM)

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
