"""A canary that fails one request in twenty, under traffic and the real `dagster dev`: how soon is it out of traffic?

Two times are told apart: from the first bad request to the proof, which is a matter of arithmetic and traffic, and from
the proof to the canary's last answer, which is a matter of the platform.
"""

import http.client
import itertools
import json
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import dagster as dg
import numpy as np
import pytest
from sklearn.compose import make_column_transformer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder

from mlops_dagster.registry import ModelVersion, Stage
from mlops_dagster.rollout import Outcome, Phase, Rollout, RolloutPolicy
from mlops_dagster.settings import Settings
from mlops_dagster.stores import Stores
from tests.support.components.orchestrated import Orchestrator, dagster_dev
from tests.support.serving.data_plane import (
    CARD,
    SCHEMA,
    ForkedServer,
    Server,
    eventually,
    make_baseline,
    make_frame,
    request,
)

MODEL = "live"
RATE = 50
SHARE = 0.2
ONE_IN = 20
CALLERS = 5
LOOK_SECONDS = 0.05
POLICY = RolloutPolicy(steps=(SHARE, 0.5), bake_hours=0)
WITHOUT_FUSE_SECONDS = 90.0
WITH_FUSE_SECONDS = 2.0

pytestmark = pytest.mark.timeout(240)


@pytest.fixture(scope="module")
def stores(tmp_path_factory: pytest.TempPathFactory) -> Stores:
    """With a champion that takes any carrier."""
    stores = Stores(Settings(home=tmp_path_factory.mktemp("home")), actor="test")
    stores.registry.transition(register(stores, "1.0.0", unknown="ignore"), Stage.PRODUCTION)
    return stores


@pytest.fixture(scope="module")
def orchestrator(stores: Stores, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Orchestrator]:
    with dagster_dev(tmp_path_factory.mktemp("project"), stores.settings.home) as orchestrator:
        yield orchestrator


def register(stores: Stores, version: str, *, unknown: str) -> ModelVersion:
    """A regression that ignores a carrier it was not fitted on, or raises for it ("error")."""
    frame = make_frame(SCHEMA)
    encoder = make_column_transformer((OneHotEncoder(handle_unknown=unknown), ["carrier"]), remainder="passthrough")
    estimator = make_pipeline(encoder, LogisticRegression(max_iter=1000))
    estimator.fit(frame, np.where(frame["delay"] > 15, "late", "on_time"))
    return stores.registry.register(MODEL, estimator, version, schema=SCHEMA, card=CARD, baseline=make_baseline(SCHEMA))


def begin_rollout(stores: Stores, version: str) -> Rollout:
    """A canary that fails, at its share of the traffic."""
    stores.registry.transition(register(stores, version, unknown="error"), Stage.CANARY, weight=SHARE)
    stores.controller(lambda _model: POLICY).tick(MODEL)
    rollout = stores.rollouts.running(MODEL)
    assert (rollout.challenger, rollout.phase, rollout.weight) == (version, Phase.CANARY, SHARE)
    return rollout


@dataclass
class Seen:
    """What the callers saw; times are of `time.monotonic()`."""

    first_bad: float = float("inf")
    """When the first request was sent that the canary cannot answer."""
    canary_last: float = 0.0
    """When the canary answered last, or failed."""
    requests: int = 0
    failed: int = 0
    failures: set[str] = field(default_factory=set)
    versions: set[str] = field(default_factory=set)


@contextmanager
def traffic(port: int) -> Iterator[Seen]:
    """Requests at their times, whoever answers them."""
    seen, ending, begin = Seen(), threading.Event(), time.monotonic()
    bodies = [json.dumps(request(carrier=carrier)) for carrier in ["ZZ"] + ["AA"] * (ONE_IN - 1)]

    def ask_on(caller: int) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        for number in itertools.count(caller, CALLERS):
            if ending.wait(max(begin + number / RATE - time.monotonic(), 0)):
                break
            if number == 0:
                seen.first_bad = time.monotonic()
            connection.request("POST", f"/v2/models/{MODEL}/infer", bodies[number % ONE_IN])
            answer = connection.getresponse()
            content = json.loads(answer.read())
            seen.requests += 1
            if answer.status != 200:
                seen.failed += 1
                seen.failures.add(content["code"])
            else:
                seen.versions.add(content["model_version"])
            if answer.status != 200 or content["model_version"] != "1.0.0":
                seen.canary_last = time.monotonic()
        connection.close()

    threads = [threading.Thread(target=ask_on, args=(caller,)) for caller in range(CALLERS)]
    for thread in threads:
        thread.start()
    try:
        yield seen
    finally:
        ending.set()
        for thread in threads:
            thread.join()


def react(stores: Stores, server: Server, rollout: Rollout, capsys: pytest.CaptureFixture[str]) -> tuple[float, float]:
    """Seconds from the first bad request to the proof, and from there to the canary's last answer; both are told."""
    controller = stores.controller(lambda _model: POLICY)
    server.wait_ready(MODEL, rollout.challenger)
    server.wait_in_force(stores, MODEL)
    with traffic(server.address["port"]) as seen:
        while controller.look(rollout).outcome is not Outcome.ROLLBACK:
            assert time.monotonic() - seen.first_bad < WITHOUT_FUSE_SECONDS
            time.sleep(LOOK_SECONDS)
        proven = time.monotonic()
        eventually(lambda: stores.registry.deployment(MODEL).canary is None, seconds=WITHOUT_FUSE_SECONDS)
        server.wait_in_force(stores, MODEL)
        enough = seen.requests + 2 * RATE
        eventually(lambda: seen.requests > enough)
        seconds = time.monotonic() - seen.first_bad
    to_proof, to_zero = proven - seen.first_bad, max(seen.canary_last - proven, 0.0)
    with capsys.disabled():
        sys.stdout.write(
            f"\n  first bad request to proof {to_proof:.1f} s, proof to zero traffic {to_zero:.1f} s "
            f"({seen.requests / seconds:.0f} requests/s, {seen.failed} failed)\n"
        )
    assert seen.failures <= {"model_failed"}, "what it scored beside the champion's answers counts, and harms nobody"
    assert seen.versions == {"1.0.0", rollout.challenger}
    assert seen.requests / seconds > 0.9 * RATE, "the traffic was as told"
    assert stores.registry.get(MODEL, rollout.challenger).rolled_back
    return to_proof, to_zero


def rollbacks(orchestrator: Orchestrator) -> list[dict[str, object]]:
    """The rollbacks that the asset `deployment` shows."""
    found = orchestrator.instance.fetch_materializations(dg.AssetKey([MODEL, "deployment"]), limit=100).records
    made = [each.asset_materialization for each in found if each.asset_materialization is not None]
    shown = [{name: value.value for name, value in each.metadata.items()} for each in made]
    return [each for each in shown if each["action"] == "rollback"]


def test_without_the_fuse_the_sensor_takes_it_out(
    stores: Stores, orchestrator: Orchestrator, capsys: pytest.CaptureFixture[str]
) -> None:
    rollout = begin_rollout(stores, "1.1.0")
    server = ForkedServer(stores.settings.home, MLOPS_FUSE="false")
    try:
        to_proof, to_zero = react(stores, server, rollout, capsys)
    finally:
        server.stop(signal.SIGTERM)
    assert to_proof + to_zero < WITHOUT_FUSE_SECONDS
    taken_out = [event for event in stores.registry.history(MODEL) if event.kind == "rollback"]
    assert [(event.version, event.actor) for event in taken_out] == [("1.1.0", "dagster")]
    assert taken_out[0].reason.startswith("proven worse")
    (record,) = eventually(lambda: rollbacks(orchestrator))
    assert record["challenger"] == "1.1.0"
    assert stores.rollouts.get(rollout.id).phase is Phase.ROLLED_BACK


def test_with_the_fuse_it_is_out_before_anyone_looks(
    stores: Stores, orchestrator: Orchestrator, capsys: pytest.CaptureFixture[str]
) -> None:
    done = len(rollbacks(orchestrator))
    rollout = begin_rollout(stores, "1.2.0")
    server = ForkedServer(stores.settings.home)
    try:
        _, to_zero = react(stores, server, rollout, capsys)
    finally:
        server.stop(signal.SIGTERM)
    assert to_zero < WITH_FUSE_SECONDS
    taken_out = next(event for event in reversed(stores.registry.history(MODEL)) if event.kind == "rollback")
    assert (taken_out.version, taken_out.actor) == ("1.2.0", "data plane")
    # The sensor puts it on record.
    eventually(lambda: len(rollbacks(orchestrator)) == done + 1, seconds=60)
    assert stores.rollouts.get(rollout.id).reason.startswith("fuse: proven worse")


def test_the_sensors_are_quick(orchestrator: Orchestrator, capsys: pytest.CaptureFixture[str]) -> None:
    """No slow call inside a sensor: each tick is over long before the next."""
    for sensor, interval in (("limits", 10), ("rollouts", 30)):
        ticks = orchestrator.ticks(sensor)
        seconds = sorted(tick.end_timestamp - tick.timestamp for tick in ticks if tick.end_timestamp)
        with capsys.disabled():
            sys.stdout.write(f"\n  {sensor}: {len(seconds)} ticks, median {seconds[len(seconds) // 2]:.2f} s\n")
        assert not [tick.error for tick in ticks if tick.error]
        assert seconds[len(seconds) // 2] < interval / 2
