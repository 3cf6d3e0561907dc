"""Course of one rehearsal, from an empty home to its summary."""

import os
import signal
import sys
import threading
import time
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from pathlib import Path
from types import FrameType

import dagster as dg

from mlops_dagster.clock import ReplayedClock
from mlops_dagster.components import ModelSpec
from mlops_dagster.components.fleet import with_fleet
from mlops_dagster.components.model_lifecycle import lifecycle_defs
from mlops_dagster.components.partitions import begin_anew
from mlops_dagster.rehearsal.home import fresh_home
from mlops_dagster.rehearsal.orchestrator.daemon import Daemon
from mlops_dagster.rehearsal.orchestrator.instance import dagster_instance, environment, only_settings
from mlops_dagster.rehearsal.orchestrator.project import find_model
from mlops_dagster.rehearsal.plan import Plan, check_training_data, make_plan
from mlops_dagster.rehearsal.policy import unattended, with_policy
from mlops_dagster.rehearsal.releases.releases import Team
from mlops_dagster.rehearsal.scenario import Scenario
from mlops_dagster.rehearsal.server import data_plane
from mlops_dagster.rehearsal.services import Services
from mlops_dagster.rehearsal.stage import ServingStage
from mlops_dagster.rehearsal.summary.display import Display, board_command, ui_command
from mlops_dagster.rehearsal.summary.reading import read_summary
from mlops_dagster.rehearsal.summary.summary import Summary
from mlops_dagster.rehearsal.timeline import Timeline
from mlops_dagster.rehearsal.traffic.client import Client
from mlops_dagster.rehearsal.traffic.history import read_history
from mlops_dagster.retraining.trainer import load_trainer
from mlops_dagster.settings import Settings
from mlops_dagster.stores import Stores

DEFAULT_HOME = Path(".mlops/rehearsal")


def rehearse(scenario: Scenario, home: Path = DEFAULT_HOME, services: Services = Services()) -> Summary:  # noqa: B008  # frozen
    """Play `scenario` in `home`, which is emptied first, and return the summary; it is in `summary.json` too.

    Stores that `services` names are there, and not in the home.

    Raises HomeNotWritableError, AlreadyRunningError if a rehearsal runs in `home`, InvalidInputError for a history or a
    project that cannot be played and if `home` has files that no rehearsal made, ModelNotFoundError, TrainingDataError
    if the trainer has no rows from before the history, RefusedError if no version passes the gates, and ServerError if
    the data plane fails.
    """
    begun = time.monotonic()
    found = find_model(scenario.model, scenario.project)
    spec = found.spec
    if scenario.policy is not None:
        spec = with_policy(spec, scenario.policy, scenario.project)
    history = read_history(scenario.requests, scenario.labels, load_trainer(spec.trainer).SCHEMA)
    plan = make_plan(scenario, unattended(spec), history)
    display = Display(plan)
    for note in plan.notes:
        display.note(note)
    with fresh_home(home) as home, ending_on_sigterm(), _platform(plan, home, services) as instance, display:
        check_training_data(plan)
        clock = ReplayedClock(plan.start - timedelta(days=1))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", dg.BetaWarning)  # the beta features in use are noted where they are used
            daemon = Daemon(_definitions(plan.spec), instance, clock, display.run, found.location)
        stores, team = (
            Stores(Settings(), clock, actor="dagster"),
            Team(Settings(), plan.spec, load_trainer(spec.trainer)),
        )
        timeline = Timeline(plan, clock, daemon, team, stores, display.hour)
        display.phase("Before the traffic: versions are refused, the first good one is trained and promoted")
        timeline.before_traffic()
        chosen = scenario.bad_releases
        timeline.bad_releases = team.bad_releases(plan.start) if chosen is None else chosen
        traffic = plan.hours()
        recorded = sum(len(hour.requests) for hour in traffic)
        display.phase(f"Serving {recorded:,} recorded requests over {plan.days:.0f} days, each at its own time")
        display.traffic(len(traffic))
        with ExitStack() as serving:
            addresses = [serving.enter_context(data_plane(each)) for each in services.homes(home)]
            clients = [serving.enter_context(Client(*address)) for address in addresses]
            timeline.play(traffic, ServingStage(plan.model, clients, stores.registry))
        clock.advance_to(plan.until)  # the summary is as of the end
        summary = read_summary(
            plan,
            stores,
            instance,
            bad_releases=timeline.all_bad_releases(),
            recorded=recorded,
            wall_seconds=time.monotonic() - begun,
        )
        summary.write(home / "summary.json")
    display.show(summary, home, board_command(plan, home), ui_command(plan, scenario.project, home))
    return summary


def _definitions(spec: ModelSpec) -> dg.Definitions:
    """Return the definitions of the model and its fleet, as in its code location, without those of other models."""
    from mlops_dagster.defs import resources

    return with_fleet(dg.Definitions.merge(resources.shared, lifecycle_defs(spec)), [spec])


@contextmanager
def _platform(plan: Plan, home: Path, services: Services) -> Iterator[dg.DagsterInstance]:
    """Set the environment of a rehearsal, which names this home and no other, and open a Dagster instance in it."""
    since, until = plan.reported
    settings = only_settings(
        MLOPS_HOME=str(home),
        MLOPS_PARTITIONS_START=since.isoformat(),
        MLOPS_PARTITIONS_END=until.isoformat(),
        MLOPS_REPORT_ROWS="0",  # a second for each day
        **services.settings,
    )
    # Trials and the data plane are separate processes: they find the project's modules where this one does.
    path = environment(PYTHONPATH=os.pathsep.join(filter(None, sys.path)))
    with settings, path, _partitions_of_the_settings(), dagster_instance(home / "dagster") as instance:
        yield instance


@contextmanager
def _partitions_of_the_settings() -> Iterator[None]:
    """Let hours, days and weeks begin as the settings say now: the project was loaded with others."""
    begin_anew()
    try:
        yield
    finally:
        begin_anew()


@contextmanager
def ending_on_sigterm() -> Iterator[None]:
    """Make SIGTERM unwind the stack as Ctrl-C does, so that the data plane is stopped too."""
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
