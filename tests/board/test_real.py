"""The pages over real stores: what the page shows, `mlops board --json` and the other commands say too."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from markupsafe import escape
from playwright.sync_api import expect
from starlette.testclient import TestClient
from typer.testing import CliRunner

from mlops_dagster.board.app import create_app
from mlops_dagster.board.server import serving
from mlops_dagster.board.snapshot import Cache, explain, snapshot
from mlops_dagster.board.snapshot.sections.versions import MOST
from mlops_dagster.board.snapshot.view import VERSIONS_A_PAGE
from mlops_dagster.cli import app
from mlops_dagster.clock import parse_time
from mlops_dagster.loop.registry_events.follow import follow_registry
from mlops_dagster.reports.report import HOUR, ReportKind
from mlops_dagster.rollout import Outcome
from mlops_dagster.stores import Stores
from tests.support.board import HOSTILE
from tests.support.long_history import BEGAN, ROWS, long_history
from tests.support.rollout_world import MODEL, START, World

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
        page.close()  # or it would ask a server that is gone
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


def test_a_history_of_ten_thousand_rows_is_paged(tmp_path: Path, open_page: "Callable[..., Page]") -> None:
    stores = long_history(tmp_path, "old")
    now = stores.clock.now()
    snapshot(stores, now)
    begun = time.process_time()
    found = snapshot(stores, now, model="old", page=200)
    assert time.process_time() - begun < 1
    assert (found.page.number, found.page.pages) == (200, ROWS // VERSIONS_A_PAGE)
    assert [row.version for row in found.versions.content or ()][-1] == "1.0.0"
    with serving(create_app(stores, Cache(stores).get, partial(explain, stores))) as address:
        page = open_page(f"{address}/")
        assert page.locator("#versions tbody tr").count() == MOST
        expect(page.locator("#versions")).to_contain_text("9,995 more versions of old are on its own page")
        assert page.locator("#feed li").count() == 30
        page.get_by_role("link", name="Older entries").click()
        expect(page.locator("#feed li")).to_have_count(30)
        assert BEGAN < parse_time(parse_qs(urlsplit(page.url).query)["at"][0]) < now
        page.locator("#models").get_by_role("link", name="old").click()
        expect(page.locator("#versions tbody tr")).to_have_count(VERSIONS_A_PAGE)
        first = page.locator("#versions tbody th").first.inner_text()
        page.get_by_role("link", name="Next versions").click()
        expect(page.locator("#versions tbody tr")).to_have_count(VERSIONS_A_PAGE)
        assert page.locator("#versions tbody th").first.inner_text() != first
        said = httpx.get(page.url)
        page.close()
    assert int(said.headers["content-length"]) < 20_000
    assert said.headers["content-encoding"] == "gzip"


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


def test_a_report_is_shown_as_it_was_written(world: World, room: TestClient) -> None:
    slices = [{"slice": f"carrier={HOSTILE}", "rows": 7, "accuracy": 0.912345, "bins": [1, 2]}]
    content: dict[str, object] = {"rows": 7, "drift": {"psi": None, "slices": slices}, "hours": [[1, HOSTILE]]}
    kind = ReportKind("performance", HOUR, dict[str, object])
    Stores(world.settings, world.clock).reports.save(kind, MODEL, START, content, verdict="stable", reason=HOSTILE)
    page = room.get(f"/reports/{MODEL}/performance/{START.isoformat()}")
    assert page.status_code == 200
    assert HOSTILE not in page.text
    assert page.text.count(str(escape(HOSTILE))) == 3  # the reason, the slice, and the JSON
    assert "0.9123" in page.text


def test_a_drift_report_leads_to_what_was_drawn_of_it(world: World) -> None:
    stores = Stores(world.settings.model_copy(update={"dagster_url": "https://dagster.example.com"}), world.clock)
    kind = ReportKind("drift", HOUR, dict[str, object])
    hour = START + timedelta(hours=1)
    stores.reports.save(kind, MODEL, hour, {"rows": 7}, verdict="stable")
    with TestClient(create_app(stores, Cache(stores).get, partial(explain, stores)), base_url="http://localhost") as it:
        page = it.get(f"/reports/{MODEL}/drift/{hour.isoformat()}").text
        assert it.get("/", params={"at": "2999-01-01T00:00Z"}).status_code == 400, "nobody knows the future"
    assert (
        f"https://dagster.example.com/assets/{MODEL}/drift_report?view=partitions&amp;partition=2013-03-01-01" in page
    )


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


def test_the_program_says_where_it_is_and_ends_when_asked(world: World) -> None:
    environment = os.environ | {"MLOPS_HOME": str(world.home)}
    command = [sys.executable, "-m", "mlops_dagster.cli", "board", "--at", "2013-03-01T00:00Z", "--port"]
    with subprocess.Popen([*command, "0"], env=environment, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        found = re.fullmatch(r"The control room is at (http://127\.0\.0\.1:(\d+)/)(\?at=\S+)\n", line)
        assert found is not None, line
        assert "This was." in httpx.get(f"{found[1]}{found[3]}").text
        busy = CliRunner().invoke(app, ["board", "--port", found[2]], env=environment)
        assert busy.exit_code == 1
        assert "MLOPS_BOARD_PORT" in busy.stderr
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=30)
