"""How soon a decision is in force in every worker, under load, and how soon the fuse acts on its own.

Rollback: from the call of `registry.withdraw` (or `rollback`) to the time at which the last worker acknowledged the new
epoch. Fuse: a canary that fails every request; from the moment the records in the spool prove it is bad (they are
folded and judged here as well, every 20 ms) to the canary's last answer; beside it the time from the canary's start to
that proof, for which its refusals beside the champion's answers count as well.

    python bench/reaction_speed.py [--workers 2] [--rounds 10] [--fuse-rounds 5]
"""

import argparse
import http.client
import itertools
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from statistics import median

from rich.console import Console
from rich.table import Table
from served import MODEL, SCHEMA, Server, data_plane, eventually, load_average, make_bodies, make_data, make_stores
from sklearn.linear_model import LogisticRegression

from mlops_dagster.clock import SystemClock
from mlops_dagster.predictions import Rollups
from mlops_dagster.registry import ModelVersion, Stage
from mlops_dagster.rollout import Outcome, Phase, RolloutPolicy, collect, decide
from mlops_dagster.schema import Feature, ModelSchema
from mlops_dagster.stores import Stores

RATES = (50, 200)
CALLERS = 8
SHARE = 0.05
LOOK_SECONDS = 0.02
WIDER = ModelSchema(features=(*SCHEMA.features, Feature(name="absent", kind="numeric")), task=SCHEMA.task)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=10, help="rollbacks at each rate")
    parser.add_argument("--fuse-rounds", type=int, default=5, help="bad canaries at each rate")
    options = parser.parse_args()
    table = Table("requests/s", "what", "rounds", "min s", "median s", "max s")
    with tempfile.TemporaryDirectory(prefix="mlops-bench-") as folder:
        stores = make_stores(Path(folder) / "home")
        names = itertools.count(1)
        watched = Rollups(f"sqlite:///{folder}/watched.sqlite", "shared")  # beside those of the data plane
        with data_plane(stores, options.workers) as server:
            for rate in RATES:
                with load_on(server, rate) as load:
                    rollbacks = [rollback(stores, options.workers, next(names)) for _ in range(options.rounds)]
                    fuses = [
                        fuse(stores, options.workers, next(names), load, watched) for _ in range(options.fuse_rounds)
                    ]
                proofs, reactions = zip(*fuses, strict=True)
                add(table, rate, "rollback acknowledged by every worker", rollbacks)
                add(table, rate, "fuse: start of the canary to proof", proofs)
                add(table, rate, "fuse: proof to the canary's last answer", reactions)
    Console(width=120).print(table, f"{options.workers} workers; {load_average()}")


def add(table: Table, rate: int, what: str, seconds: Sequence[float]) -> None:
    figures = (min(seconds), median(seconds), max(seconds))
    table.add_row(str(rate), what, str(len(seconds)), *(f"{figure:.3f}" for figure in figures))


@dataclass
class Load:
    """What the callers saw."""

    canary_at: float = 0.0
    """When the canary, whose answers are the failures, answered last (`time.monotonic()`)."""


@contextmanager
def load_on(server: Server, rate: int) -> Iterator[Load]:
    """Requests at their times, over a few connections; what fails is the canary's."""
    load, bodies, ending = Load(), make_bodies(), threading.Event()
    begin = time.monotonic()

    def ask_on(caller: int) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
        for number in itertools.count(caller, CALLERS):
            if ending.wait(max(begin + number / rate - time.monotonic(), 0)):
                break
            connection.request("POST", f"/v2/models/{MODEL}/infer", bodies[number % len(bodies)])
            answer = connection.getresponse()
            answer.read()
            if answer.status != 200:
                load.canary_at = time.monotonic()
        connection.close()

    threads = [threading.Thread(target=ask_on, args=(caller,)) for caller in range(CALLERS)]
    for thread in threads:
        thread.start()
    try:
        yield load
    finally:
        ending.set()
        for thread in threads:
            thread.join()


def rollback(stores: Stores, workers: int, number: int) -> float:
    """Every other time a new champion is rolled back, else a canary is withdrawn."""
    registry = stores.registry
    version = again(stores, number, f"2.{number}.0")
    if number % 2:
        registry.transition(version, Stage.PRODUCTION)
    else:
        registry.transition(version, Stage.CANARY, weight=SHARE)
    wait_acknowledged(stores, workers)
    called = SystemClock().now()
    if number % 2:
        registry.rollback(MODEL, reason="bench")
    else:
        registry.withdraw(version, reason="bench")
    return (wait_acknowledged(stores, workers) - called).total_seconds()


def fuse(stores: Stores, workers: int, number: int, load: Load, rollups: Rollups) -> tuple[float, float]:
    """The seconds to proof, and from there until the canary has given its last answer."""
    champion = stores.champion(MODEL)
    assert champion is not None
    version = again(stores, number, f"3.{number}.0", WIDER)
    epoch = stores.registry.deployment(MODEL).epoch
    policy = RolloutPolicy()
    started = stores.rollouts.start(MODEL, champion.version, version.version, policy, epoch, SystemClock().now())
    running = stores.rollouts.change(started.id, lambda seen: replace(seen, phase=Phase.CANARY, step=1, weight=SHARE))
    stores.registry.transition(version, Stage.CANARY, weight=SHARE)
    begun = time.monotonic()
    proven: float | None = None
    while proven is None:
        rollups.catch_up(stores.spool, lambda _model, _version: None)
        now = SystemClock().now()
        if decide(policy, running, collect(rollups, running, now), now).outcome is Outcome.ROLLBACK:
            proven = time.monotonic()
        time.sleep(LOOK_SECONDS)
    eventually(lambda: stores.registry.get(MODEL, version.version).rolled_back)
    wait_acknowledged(stores, workers)
    time.sleep(1)
    stores.rollouts.change(started.id, lambda seen: replace(seen, phase=Phase.ROLLED_BACK))
    return proven - begun, max(load.canary_at - proven, 0.0)


def again(stores: Stores, number: int, name: str, schema: ModelSchema = SCHEMA) -> ModelVersion:
    """Register another version: bytes that were rolled back once are refused, so its coefficients differ a little."""
    first = stores.registry.get(MODEL, "1.0.0")
    frame, classes = make_data()
    estimator = LogisticRegression().fit(frame, classes)
    estimator.coef_ += number * 1e-9
    return stores.registry.register(MODEL, estimator, name, schema=schema, card=first.card, baseline=first.baseline)


def wait_acknowledged(stores: Stores, workers: int) -> datetime:
    """When the last worker acknowledged the latest deployment."""
    epoch = stores.registry.deployment(MODEL).epoch

    def times() -> list[datetime] | None:
        found = [entry.at for entry in stores.registry.acknowledgements(MODEL) if entry.epoch == epoch]
        return found if len(found) == workers else None

    return max(eventually(times))


if __name__ == "__main__":
    main()
