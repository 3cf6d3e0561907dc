"""A canary that fails one request in twenty, under traffic: how soon it is proven bad, and out of traffic."""

import http.client
import itertools
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np
from sklearn.compose import make_column_transformer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder

from mlops_dagster.registry import ModelVersion, Stage
from mlops_dagster.rollout import Outcome, Phase, Rollout, RolloutPolicy
from mlops_dagster.stores import Stores
from tests.support.serving.data_plane import CARD, SCHEMA, Server, eventually, make_baseline, make_frame, request

MODEL = "live"
RATE = 50
SHARE = 0.2
ONE_IN = 20
CALLERS = 5
LOOK_SECONDS = 0.05
POLICY = RolloutPolicy(steps=(SHARE, 0.5), bake_hours=0)
WITHOUT_FUSE_SECONDS = 90.0
WITH_FUSE_SECONDS = 2.0


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


@dataclass(frozen=True)
class Reaction:
    """The seconds from the first bad request to the proof, and from there to the canary's last answer."""

    to_proof: float
    to_zero: float
    requests_a_second: float
    failed: int

    def __str__(self) -> str:
        return (
            f"first bad request to proof {self.to_proof:.1f} s, proof to zero traffic {self.to_zero:.1f} s "
            f"({self.requests_a_second:.0f} requests/s, {self.failed} failed)"
        )


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


def react(stores: Stores, server: Server, rollout: Rollout) -> Reaction:
    """Send traffic until the canary is proven bad and out of it."""
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
    assert seen.failures <= {"model_failed"}, "what it scored beside the champion's answers counts, and harms nobody"
    assert seen.versions == {"1.0.0", rollout.challenger}
    assert stores.registry.get(MODEL, rollout.challenger).rolled_back
    return Reaction(proven - seen.first_bad, max(seen.canary_last - proven, 0.0), seen.requests / seconds, seen.failed)
