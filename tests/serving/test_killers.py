"""Versions that pass their trial and crash a worker on what real requests bring: the supervisor takes them out."""

from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from mlops_dagster.registry import Stage
from mlops_dagster.settings import Settings
from mlops_dagster.stores import Stores
from tests.support.broken import crashing
from tests.support.serving.data_plane import CARD, SCHEMA, ForkedServer, Models, Server, eventually, make_baseline
from tests.support.serving.light import light_artifacts

MODEL = "flights"
FAR = 1e6
"""A delay that no row of a trial has."""
WAIT = 120.0
"""Seconds: workers are started again and again."""
Run = Callable[..., Server]


@pytest.fixture
def models(tmp_path: Path) -> Models:
    models = Models(Stores(Settings(home=tmp_path / "home"), actor="test"), light_artifacts(tmp_path))
    models.champion(MODEL)
    return models


@pytest.fixture
def run(models: Models) -> Iterator[Run]:
    started: list[Server] = []

    def run(**environment: str) -> Server:
        started.append(ForkedServer(models.stores.settings.home, **environment))
        return started[-1]

    yield run
    for server in started:
        server.stop()


def killer(models: Models, folder: Path, version: str) -> None:
    file = crashing(folder / f"{version}.skops", from_delay=FAR / 2)
    models.stores.registry.register(MODEL, file, version, schema=SCHEMA, card=CARD, baseline=make_baseline(SCHEMA))


def answers(server: Server, delay: float = 40.0) -> str | None:
    """The version that answers; None if there is no answer."""
    try:
        answer = server.infer(MODEL, delay=delay)
    except httpx.TransportError:  # of a worker that dies
        return None
    return answer.json()["model_version"] if answer.status_code == 200 else None


def test_a_challenger_that_kills_a_worker_is_taken_out_at_once(models: Models, run: Run, tmp_path: Path) -> None:
    stores = models.stores
    killer(models, tmp_path, "1.1.0")
    stores.registry.transition(stores.registry.get(MODEL, "1.1.0"), Stage.SHADOW)
    server = run()
    server.wait_in_force(stores, MODEL)
    first = server.address["processes"]
    trials = list((stores.settings.home / "trials").glob("*.json"))
    assert len(trials) == 2, "what was tried when it was registered here is not tried again"
    assert answers(server) == "1.0.0"
    server.flush(log=False)
    assert server.read_address()["processes"] == first
    answers(server, FAR)
    eventually(lambda: stores.registry.get(MODEL, "1.1.0").rolled_back, WAIT)
    eventually(lambda: answers(server, FAR) == "1.0.0", WAIT)
    assert [answers(server, FAR) for _ in range(20)] == ["1.0.0"] * 20
    server.flush(log=False)
    (event,) = [event for event in stores.registry.history(MODEL) if event.kind in ("rollback", "not_loaded")]
    assert event.version == "1.1.0"
    assert "it killed 1 worker of the data plane while it was loaded or scored (SIGSEGV)" in event.reason
    eventually(lambda: len(stores.alerts.list(MODEL)) == 2, WAIT)
    refused, rolled_back = stores.alerts.list(MODEL)
    assert (refused.rule, refused.severity, refused.done) == (
        "version_refused",
        "warning",
        "it was taken out, and the champion answers",
    )
    assert (rolled_back.rule, rolled_back.severity) == ("rolled_back", "warning")
    assert rolled_back.done.startswith("taken out by data plane; 1.0.0 answers")
    assert (refused.muted_by, rolled_back.muted_by) == (None, "version_refused 1.1.0")
    processes = server.read_address()["processes"]
    assert len({*first, *processes}) == 2, "one worker was lost"
    assert "Fatal Python error: Segmentation fault" in server.log.read_text()


def test_a_champion_that_kills_workers_gives_way_to_the_last_one_that_did_not(
    models: Models, run: Run, tmp_path: Path
) -> None:
    stores = models.stores
    killer(models, tmp_path, "1.1.0")
    stores.registry.transition(stores.registry.get(MODEL, "1.1.0"), Stage.PRODUCTION)
    server = run()
    server.wait_in_force(stores, MODEL)
    for _ in range(2):
        eventually(lambda: answers(server) == "1.1.0", WAIT)
        answers(server, FAR)
    eventually(lambda: answers(server) == "1.1.0", WAIT)
    (alert,) = stores.alerts.list(MODEL)
    assert (alert.severity, alert.done) == ("critical", "nothing")
    answers(server, FAR)
    eventually(lambda: stores.registry.deployment(MODEL).champion == "1.0.0", WAIT)
    eventually(lambda: answers(server, FAR) == "1.0.0", WAIT)
    (event,) = [event for event in stores.registry.history(MODEL) if event.kind == "rollback"]
    assert (event.version, event.actor) == ("1.1.0", "data plane")
    assert "it killed 3 workers" in event.reason


def test_a_champion_without_another_is_kept(models: Models, run: Run, tmp_path: Path) -> None:
    """Its requests may be the reason, and other models have theirs; people are told."""
    stores = models.stores
    file = crashing(tmp_path / "alone.skops", from_delay=FAR / 2)
    version = stores.registry.register("alone", file, schema=SCHEMA, card=CARD, baseline=make_baseline(SCHEMA))
    stores.registry.transition(version, Stage.PRODUCTION)
    server = run()
    server.wait_ready("alone")
    with pytest.raises(httpx.TransportError):
        server.infer("alone", delay=FAR)
    eventually(lambda: answers(server) == "1.0.0", WAIT)
    server.wait_ready("alone")
    assert server.infer("alone").status_code == 200
    (alert,) = stores.alerts.list("alone")
    assert (alert.severity, alert.done) == ("critical", "nothing")
    assert alert.summary.startswith("1.0.0 is loaded again, although it killed 1 worker")
    assert stores.registry.deployment("alone").champion == "1.0.0"
