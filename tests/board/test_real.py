"""The pages over real stores: what the page shows, `mlops board --json` and the other commands say too."""

import json
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from starlette.testclient import TestClient
from typer.testing import CliRunner

from mlops_dagster.board.app import create_app
from mlops_dagster.board.snapshot import Cache, explain
from mlops_dagster.cli import app
from mlops_dagster.loop.registry_events.follow import follow_registry
from mlops_dagster.rollout import Outcome
from mlops_dagster.stores import Stores
from tests.support.board_server import serving
from tests.support.rollout_world import MODEL, World

if TYPE_CHECKING:
    from playwright.sync_api import Page


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A champion, and a challenger that is rolled back."""
    made = World(tmp_path_factory.mktemp("real"))
    made.champion()
    made.serve(ties=95, errors=5)
    made.register("1.1.0")
    made.reach(1)
    made.serve_worse()
    assert made.tick() is Outcome.ROLLBACK
    made.serve(ties=50, hours=0.05)
    follow_registry(Stores(made.settings, made.clock))
    yield made
    made.close()


@pytest.fixture
def room(world: World) -> Iterator[TestClient]:
    stores = Stores(world.settings, world.clock)
    with TestClient(create_app(stores, Cache(stores).get, partial(explain, stores)), base_url="http://localhost") as it:
        yield it


def said(world: World, monkeypatch: pytest.MonkeyPatch, *command: str) -> Any:
    monkeypatch.setenv("MLOPS_HOME", str(world.home))
    ran = CliRunner().invoke(app, [*command, "--json"])
    assert ran.exit_code == 0, ran.output
    return json.loads(ran.stdout)


def test_the_six_figures_are_those_of_the_commands(
    world: World, open_page: "Callable[..., Page]", monkeypatch: pytest.MonkeyPatch
) -> None:
    stores = Stores(world.settings, world.clock)
    with serving(create_app(stores, Cache(stores).get, partial(explain, stores))) as address:
        page = open_page(f"{address}/")
        names = ("models", "uptime", "latency", "versions", "accuracy", "requests")
        shown = {name: page.locator(f"#figure-{name} .value").inner_text() for name in names}
    figures = said(world, monkeypatch, "board", "--at", world.clock.now().isoformat())["figures"]
    content = {name: figures[name]["content"] for name in names}
    assert {name: float(text.split()[0].replace(",", "")) for name, text in shown.items()} == {
        "models": content["models"]["active"],
        "uptime": pytest.approx(100 * content["uptime"]["share"], abs=0.005),
        "latency": pytest.approx(content["latency"]["p99_ms"], abs=0.5),
        "versions": content["versions"]["tracked"],
        "accuracy": pytest.approx(100 * content["accuracy"]["value"], abs=0.05),
        "requests": pytest.approx(content["requests"]["per_minute"], abs=0.05),
    }
    listed = said(world, monkeypatch, "models", "list")
    assert int(shown["versions"]) == len(listed)
    assert int(shown["models"]) == len({each["model"] for each in listed})


def test_a_decision_is_explained_and_replayed_as_by_the_command(
    world: World, room: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    last = world.rollouts.decisions(world.rollout.id)[-1]
    told = said(world, monkeypatch, "rollouts", "explain", str(last.id))
    page = room.get(f"/decisions/{last.id}")
    assert page.status_code == 200
    assert "the same to the bit" in page.text
    for test in told["tests"]:
        assert test["name"] in page.text
    other = room.get(f"/decisions/{last.id}", params={"alpha": "1e-9"})
    assert "It parts from what was decided" in other.text
    assert room.get(f"/decisions/{last.id}", params={"alpha": "2"}).status_code == 400
    assert room.get("/decisions/12345").status_code == 404
    assert f"/decisions/{last.id}" in room.get("/").text


def test_documents_that_are_not_there_are_said(room: TestClient) -> None:
    assert room.get(f"/models/{MODEL}").status_code == 200
    for path in ("/models/none", f"/models/{MODEL}/versions/9.9.9", f"/reports/{MODEL}/drift/2013-03-01T00:00:00Z"):
        assert room.get(path).status_code == 404
    assert room.get(f"/reports/{MODEL}/drift/yesterday").status_code == 400


def test_a_card_is_the_page_that_the_command_writes(
    world: World, room: TestClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLOPS_HOME", str(world.home))
    file = tmp_path / "card.html"
    assert CliRunner().invoke(app, ["models", "card", MODEL, "1.0.0", "--html", str(file)]).exit_code == 0
    shown = room.get(f"/models/{MODEL}/versions/1.0.0")
    assert shown.text == file.read_text()
    assert shown.headers["content-security-policy"].startswith("default-src 'none'")
