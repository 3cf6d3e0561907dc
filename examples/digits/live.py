"""A whole rollout in real time, in minutes: `make demo-live`, to be watched in the control room and in the Dagster UI.

Everything is real: a `dagster dev` whose sensors decide and whose jobs promote and roll back, the data plane, requests
over HTTP with labels that come seconds later. Only the traffic is made up. Exit code 0 if all happened as it should.

    python examples/digits/live.py [--home .mlops/live] [--keep]
"""

import argparse
import sys
import time
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

from rich.console import Console
from rich.markup import escape

from demo.dagster_dev import Dagster, dagster_dev
from demo.load import Load
from demo.release import release_without_imputer
from demo.stream import RATE, Stream
from demo.summary import Summary
from demo.watch import DidNotHappenError, Watch
from mlops_dagster.board.app import create_app
from mlops_dagster.board.server import serving
from mlops_dagster.board.snapshot import Cache, explain
from mlops_dagster.errors import MlopsError
from mlops_dagster.registry import Deployment
from mlops_dagster.rehearsal.home import fresh_home
from mlops_dagster.rehearsal.orchestrator.instance import only_settings
from mlops_dagster.rehearsal.run import ending_on_sigterm
from mlops_dagster.rehearsal.server import data_plane
from mlops_dagster.settings import Settings
from mlops_dagster.stores import Stores

MODEL = "digits"
ARCHIVE = timedelta(days=30)
FIRST_TRAINED_AFTER = timedelta(days=12)
BLANK_SHARE = 0.05
TROUBLE_AT_WEIGHT = 0.05


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--home", type=Path, default=Path(".mlops/live"), help="where it keeps everything; made anew")
    parser.add_argument("--keep", action="store_true", help="leave the pages and the data plane up until Ctrl-C")
    options = parser.parse_args()
    console = Console()
    try:
        with ending_on_sigterm():
            return play(options.home, console, keep=options.keep)
    except KeyboardInterrupt:
        console.print("\nstopped; nothing is left running")
        return 130
    except (DidNotHappenError, MlopsError) as error:
        console.print(f"[red]failed:[/red] {escape(str(error))}", soft_wrap=True)
        return 1


def play(home: Path, console: Console, *, keep: bool) -> int:
    """The whole story; returns the exit code."""
    begun = time.monotonic()
    midnight = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    archive_began = midnight - ARCHIVE
    with ExitStack() as stack:
        home = stack.enter_context(fresh_home(home))
        stack.enter_context(only_settings(MLOPS_HOME=str(home), MLOPS_PARTITIONS_START=f"{archive_began:%Y-%m-%d}"))
        console.print("Starting dagster dev and the data plane ...")
        dagster = stack.enter_context(dagster_dev(home))
        address = stack.enter_context(data_plane(home, replayed=False))
        stores = Stores(Settings(), actor="team:digits")
        seen = Stores(Settings(dagster_url=dagster.url))
        board = stack.enter_context(serving(create_app(seen, Cache(seen).get, partial(explain, seen))))
        welcome(console, dagster, board)
        watch = Watch(MODEL, stores, dagster, console)

        watch.say(f"The first version: trained by the job digits_retrain on the first {FIRST_TRAINED_AFTER.days} days.")
        train(watch, "the model's first version", as_of=archive_began + FIRST_TRAINED_AFTER)
        watch.until(lambda: stores.champion(MODEL) is not None, "the sensor promoted the first version", 90)
        watch.until(lambda: in_force(stores), "the data plane serves the first version", 60)
        with Load(MODEL, address, Stream()) as load:
            watch.load = load
            good_release(watch)
            bad_release(watch, load)
            watch.load = None  # it is told of in the summary
        summary = Summary.read(MODEL, stores, load, dagster, seconds=time.monotonic() - begun)
        summary.show(console)
        if summary.problems:
            return 1
        if keep:
            console.print(f"The control room is still at {board}, the Dagster UI at {dagster.url}; Ctrl-C ends both.")
            watch.until(lambda: False, "you pressed Ctrl-C", float("inf"))
    return 0


def welcome(console: Console, dagster: Dagster, board: str) -> None:
    console.print(
        f"\n[bold]Control room: {board}[/bold]\n"
        f"[bold]Dagster UI: {dagster.url}[/bold]\n"
        f"  {dagster.url}/asset-groups   the assets of the model, what they follow from, and when they were made\n"
        f"  {dagster.url}/automation     the sensors limits and rollouts: each tick, and what it decided\n"
        f"  {dagster.url}/runs           trainings and reports\n"
        f"  {dagster.url}/assets/digits/deployment?view=events   who serves, why, and on what evidence\n",
        soft_wrap=True,
        highlight=False,
    )


def in_force(stores: Stores) -> bool:
    """The data plane serves the latest deployment."""
    epoch = stores.registry.deployment(MODEL).epoch
    return any(seen.epoch >= epoch for seen in stores.registry.acknowledgements(MODEL))


def good_release(watch: Watch) -> None:
    """A challenger that has seen all of the archive: shadow, 1, 5, 20, 50, 100 %."""
    stores = watch.stores
    first = stores.registry.deployment(MODEL).champion
    watch.say(f"{RATE} requests/s from now on. A challenger: the same job, with {ARCHIVE.days} days of the archive.")
    train(watch, "more than twice the images")
    watch.until(lambda: stores.registry.deployment(MODEL).champion != first, "the challenger became champion", 360)


def bad_release(watch: Watch, load: Load) -> None:
    """One that fails on a twentieth of the requests, from a moment on at which it has a share of the traffic."""
    stores = watch.stores
    watch.say("The next release is a leaner pipeline, without the imputer; it waits for the end of the watch.")
    bad = release_without_imputer(stores, MODEL).version

    def has_a_share(deployed: Deployment) -> bool:
        return deployed.canary == bad and deployed.canary_weight >= TROUBLE_AT_WEIGHT

    watch.until(lambda: has_a_share(stores.registry.deployment(MODEL)), f"{bad} got {TROUBLE_AT_WEIGHT:.0%}", 300)
    load.blank_share(BLANK_SHARE)
    watch.say(
        f"[bold]A new scanner leaves a corner blank on {BLANK_SHARE:.0%} of the sheets. {bad} cannot read them.[/bold]"
    )
    watch.until(lambda: stores.registry.get(MODEL, bad).rolled_back, f"{bad} lost its traffic", 120)
    watch.until(lambda: stores.rollouts.active(MODEL) is None, "the rollout was closed", 60)


def train(watch: Watch, reason: str, as_of: datetime | None = None) -> None:
    """Launch the job as a person would from the UI, and wait for its end."""
    config = {"trigger": "by hand", "reason": reason, **({} if as_of is None else {"as_of": as_of.isoformat()})}
    run_id = watch.dagster.launch(f"{MODEL}_retrain", {"ops": {f"{MODEL}__training_set": {"config": config}}})
    watch.until(lambda: watch.dagster.has_run(run_id), f"the training run {run_id[:8]} ended", 180)


if __name__ == "__main__":
    sys.exit(main())
