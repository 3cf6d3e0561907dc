"""docs/tutorial and docs/how-to: their commands, as they stand, in one new project.

`python -m soak --only tables` plays the tutorial on two other tables, `python -m bench.tutorial` times it on all three.
`tests/registry/test_mlflow.py` follows the page that moves a home to other servers.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.tutorial import CHAMPION, DECISION, PROJECT, REHEARSED, SERVED, Played, census, play, sections
from mlops_dagster.alerting import FLEET, Rule, Severity
from mlops_dagster.registry import ModelRegistry
from mlops_dagster.settings import Settings
from mlops_dagster.stores import Stores
from tests.support.pages import ROOT, commands, follow
from tests.support.serving.data_plane import ForkedServer, Server

HOW_TO = ROOT / "docs" / "how-to"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("reader")


@pytest.fixture(scope="module")
def played(folder: Path) -> Played:
    return play(folder, census(a_day=250, days=12), (PROJECT, REHEARSED))


@pytest.fixture
def project(played: Played, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The project of the tutorial, as the current folder, with the home of its rehearsal."""
    monkeypatch.chdir(folder / "income")
    monkeypatch.syspath_prepend(folder / "income")
    monkeypatch.setenv("MLOPS_HOME", str(folder / "income" / ".mlops" / "rehearsal"))
    return folder / "income"


@pytest.fixture
def server(project: Path) -> Iterator[Server]:
    server = ForkedServer(project / ".mlops" / "rehearsal")
    yield server
    server.stop()


@pytest.mark.timeout(600)  # Dagster starts five times
def test_a_bad_release_of_a_model_made_by_the_commands_alone_is_rolled_back(played: Played) -> None:
    summary = played.summary
    assert "All definitions loaded successfully" in played.said
    assert "always the same answers: promote" in played.said
    assert summary["failed_runs"] == 0
    assert len(summary["promotions"]) == 1
    fates = {bad["what"]: bad["fate"].split(":")[0] for bad in summary["bad_releases"]}
    assert next(iter(fates.values())) == "rolled back", fates
    assert summary["rollbacks"]


def test_every_section_that_is_run_has_commands() -> None:
    found = sections()
    assert all(found[title] for title in (PROJECT, CHAMPION, SERVED, REHEARSED, DECISION))


def test_the_decision_is_read(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rehearsed = sections()[REHEARSED].splitlines()
    said = follow(ROOT / "docs" / "tutorial" / "first-rollout.md", monkeypatch, leaving_out=rehearsed)
    assert "rollback" in said
    assert "the same to the bit" in said


def test_the_champion_is_rolled_back(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    registry = ModelRegistry(settings=Settings())
    first = registry.champion("income")
    assert first is not None
    artifact, parts = (
        registry.fetch(first, project / "model"),
        {"card": first.card, "baseline": first.baseline, "schema": first.schema},
    )
    registry.transition(registry.register("income", artifact, "2.0.0", **parts), "Production", reason="a better one")
    follow(HOW_TO / "roll-back.md", monkeypatch)
    again = registry.champion("income")
    assert again is not None
    assert again.version == first.version


@pytest.mark.parametrize(
    ("page", "said"),
    [
        ("operate.md", "rolled_back"),
        ("add-a-model.md", "Creating defs"),
        ("own-suite.md", "expectations of income"),
        ("erase-a-person.md", "erased 0 predictions"),
        ("retention.md", "minute_counts"),
        ("upgrade.md", "files in ../backup"),
    ],
)
def test_the_commands_of_a_page_work(page: str, said: str, project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run_before = sections()[PROJECT].splitlines()  # the slow ones, by Dagster and by the trainer
    alert = Stores().alerts.report(FLEET, Rule.CHANNEL_BROKEN, Severity.WARNING, "made up")
    assert said in follow(HOW_TO / page, monkeypatch, {"ack 7": f"ack {alert.id}"}, leaving_out=run_before)


def test_the_data_plane_is_asked_and_gets_labels_and_tokens(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """After the pages: its housekeeper resolves the alert that one of them acknowledges."""
    server.wait_ready("income")
    address = {"localhost:8080": f"127.0.0.1:{server.address['port']}"}
    assert '"accepted":1' in follow(HOW_TO / "send-labels.md", monkeypatch, address)
    assert "shop" in follow(HOW_TO / "ask-the-data-plane.md", monkeypatch, address)


def test_every_page_with_commands_is_followed() -> None:
    told = Path(__file__).read_text() + (ROOT / "tests" / "registry" / "test_mlflow.py").read_text()
    pages = [page.name for page in HOW_TO.glob("*.md") if any(commands(page))]
    assert [page for page in pages if f'"{page}"' not in told] == []
