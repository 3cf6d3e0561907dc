"""One row that cannot be read never stops the others from being read, whatever store and column it is in."""

import logging
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from mlops_dagster.alerting import Severity
from mlops_dagster.cli import app
from mlops_dagster.clock import SystemClock
from mlops_dagster.errors import ArtifactNotFoundError, CorruptedArtifactError, UnreadableError
from mlops_dagster.registry import GatePolicy, ModelCard, Stage
from mlops_dagster.rollout import Phase, RolloutPolicy
from mlops_dagster.serving.service import Service
from mlops_dagster.settings import Settings
from mlops_dagster.stores import Stores
from tests.support.serving.data_plane import CARD, Models
from tests.support.serving.light import light_artifacts

NOW = datetime(2026, 1, 1, tzinfo=UTC)
MODELS = ("bad", "good")
POISON = '{"max_ratio": {"error": 1.2, "wrong": 1.2, "slow": null}'

ROWS: dict[str, tuple[str, str, str, Callable[[Stores], Any]]] = {
    # Where it is spoilt, with what, and a look at everything beside it.
    "schema": ("versions", "schema", '{"features": [], "task": {"classes": ["one"]}}',
               lambda h: h.registry.list("bad")),
    "card": ("versions", "card", '{"evaluation": [{"name": "overall", "rows": 1, "metrics": {"accuracy": null}}]}',
             lambda h: h.registry.list("bad")),
    "metrics": ("versions", "metrics", "{NaN", lambda h: h.registry.list("bad")),
    "lineage": ("versions", "lineage", "[" * 100_000, lambda h: h.registry.list("bad")),
    "stage": ("versions", "stage", "Nowhere", lambda h: h.registry.list("bad")),
    "created_at": ("versions", "created_at", "2026-13-01", lambda h: h.registry.list("bad")),
    "event": ("events", "evidence", "{", lambda h: h.registry.history("bad")),
    "event's deployment": ("events", "deployment", "{}", lambda h: h.registry.history("bad")),
    "alert": ("alerts", "evidence", "{", lambda h: h.alerts.list()),
    "alert's severity": ("alerts", "severity", "grave", lambda h: h.alerts.list()),
    "rollout": ("rollouts", "body", POISON, lambda h: h.rollouts.list()),
    "rollout's bytes": ("rollouts", "body", "\x00", lambda h: h.rollouts.list()),
    "decision": ("decisions", "body", "{}", lambda h: h.rollouts.decisions(1)),
}  # fmt: skip


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two models, each with a champion, a canary on its way, a decision about it, and an open alert."""
    folder = tmp_path_factory.mktemp("sound")
    stores = Stores(Settings(home=folder / "home"), actor="test")
    models = Models(stores, light_artifacts(folder))
    for name in MODELS:
        champion = models.champion(name)
        stores.registry.transition(models.register(name, "1.1.0"), Stage.CANARY, weight=0.1)
        epoch = stores.registry.deployment(name).epoch
        rollout = stores.rollouts.start(name, champion.version, "1.1.0", RolloutPolicy(), epoch, NOW)
        stores.rollouts.change(rollout.id, lambda seen: replace(seen, phase=Phase.CANARY, step=1, weight=0.1))
        stores.rollouts.record(stores.controller(lambda _: RolloutPolicy()).look(stores.rollouts.running(name)))
        stores.alerts.report(name, "errors", Severity.WARNING, "1 %")
    close(stores)
    return folder / "home"


def close(stores: Stores) -> None:
    for store in (stores.registry, stores.rollouts, stores.alerts, stores.local_rollups):
        store.close()


@pytest.fixture
def stores(sound: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stores]:
    """A copy of that home, to be spoilt."""
    monkeypatch.setenv("MLOPS_HOME", str(shutil.copytree(sound, tmp_path / "home")))
    stores = Stores(Settings(), actor="test")
    yield stores
    close(stores)


def spoil(stores: Stores, table: str, column: str, value: str) -> None:
    """Change the newest row of the model `bad` behind the registry."""
    with sqlite3.connect(stores.settings.home / "mlops.sqlite") as connection:
        for (trigger,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            connection.execute(f"DROP TRIGGER {trigger}")
        of_bad = "rollout_id = 1" if table == "decisions" else "model = 'bad'"
        key = "model" if table == "deployments" else "id"
        newest = f"{key} = (SELECT max({key}) FROM {table} WHERE {of_bad})"  # noqa: S608 - the test's own words
        assert connection.execute(f"UPDATE {table} SET {column} = ? WHERE {newest}", (value,)).rowcount == 1  # noqa: S608
    connection.close()


@pytest.mark.parametrize("kind", ROWS)
def test_a_list_goes_on_without_the_row_and_names_it(
    kind: str, stores: Stores, caplog: pytest.LogCaptureFixture
) -> None:
    table, column, value, look = ROWS[kind]
    before = look(stores)
    spoil(stores, table, column, value)
    assert len(look(stores)) == len(before) - 1
    (said,) = [record.getMessage() for record in caplog.records if record.levelno == logging.ERROR]
    assert "cannot be read (" in said
    assert "all others can; " in said
    assert "bad" in said or table == "decisions"
    for command in ("models list", "models list good", "alerts list", "rollouts list", "models history good"):
        done = CliRunner().invoke(app, command.split())
        assert done.exit_code == 0, (command, done.output)
        assert "good" in done.stdout or command.endswith("good"), (command, done.output)
    assert stores.registry.champion("good") is not None
    controller = stores.controller(lambda _: RolloutPolicy())
    assert controller.assess("good") is not None


@pytest.mark.parametrize(
    ("table", "column", "value", "look", "named"),
    [
        ("versions", "card", "{", lambda h: h.registry.get("bad", "1.1.0"), "the version bad 1.1.0"),
        ("versions", "baseline", "{", lambda h: h.registry.get("bad", "1.1.0").baseline.label, "the baseline of bad"),
        ("versions", "lineage", "{", lambda h: h.registry.orphans(), "the lineage of the version with the"),
        ("deployments", "guard", '{"stretch": null}', lambda h: h.registry.deployment("bad"), "the deployment of bad"),
        ("rollouts", "body", POISON, lambda h: h.rollouts.running("bad"), r"the rollout 1 of bad \(1.1.0\)"),
        ("decisions", "body", "[]", lambda h: h.rollouts.decision(1), "the decision 1 of rollout 1"),
    ],
)  # fmt: skip
def test_one_row_that_is_asked_for_is_an_error_with_its_name(
    table: str, column: str, value: str, look: Callable[[Stores], object], named: str, stores: Stores
) -> None:
    spoil(stores, table, column, value)
    with pytest.raises(UnreadableError, match=f"{named}.* cannot be read"):
        look(stores)


def test_a_rollout_that_cannot_be_read_is_judged_by_nobody_and_can_be_aborted(stores: Stores) -> None:
    spoil(stores, "rollouts", "body", POISON)
    controller = stores.controller(lambda _: RolloutPolicy())
    with pytest.raises(UnreadableError, match="`mlops rollouts abort bad"):
        controller.assess("bad")
    assert stores.registry.deployment("bad").canary == "1.1.0"
    done = CliRunner().invoke(app, ["rollouts", "abort", "bad", "--reason", "cannot be read"])
    assert (done.exit_code, stores.registry.deployment("bad").canary) == (0, None)
    assert controller.assess("bad") is None, "nor is the same version tried again"


def test_gates_that_cannot_be_read_are_closed_until_they_are_published_again(stores: Stores) -> None:
    stores.registry.publish_policies("bad", {"gates": GatePolicy(min_micro_f1=0.5)})
    spoil(stores, "events", "evidence", '{"location": null, "policies": {"gates": {"min_micro_f1": null}}}')
    version = stores.registry.get("bad", "1.1.0")
    with pytest.raises(UnreadableError, match=r"the policy `gates` of bad \(event \d+\).*min_micro_f1"):
        stores.registry.transition(version, Stage.PRODUCTION)
    stores.registry.publish_policies("bad", {"gates": GatePolicy(min_micro_f1=0.5)})
    assert stores.registry.transition(version, Stage.PRODUCTION).stage is Stage.PRODUCTION


def test_one_model_whose_rows_cannot_be_read_holds_up_no_other_and_no_rollback(stores: Stores) -> None:
    service = Service(stores.settings, SystemClock())
    service.start()
    try:
        refresh = service.deployments.refresh
        spoil(stores, "rollouts", "body", POISON)
        stores.registry.withdraw(stores.registry.get("bad", "1.1.0"), reason="worse")
        refresh()
        assert service.deployments.get("bad").deployment.canary is None, "a rollback comes into force"
        spoil(stores, "deployments", "guard", '{"stretch": null}')
        stores.registry.withdraw(stores.registry.get("good", "1.1.0"), reason="worse")
        with pytest.raises(UnreadableError, match="the deployment of bad"):
            refresh()
        assert service.deployments.get("good").deployment.canary is None
        assert service.deployments.get("bad").deployment.champion == "1.0.0", "the last known one goes on"
        service.last_known._file._writer.execute("UPDATE deployments SET deployment = '{' WHERE model = 'bad'")
        assert [known.deployment.model for known in service.last_known.deployments()] == ["good"]
    finally:
        service.stop()


def test_an_artifact_that_is_damaged_or_gone_names_its_version(stores: Stores, tmp_path: Path) -> None:
    version = stores.registry.get("bad", "1.1.0")
    (stored,) = [path for path in Path(stores.settings.storage).rglob(version.digest) if path.is_file()]
    stored.chmod(0o644)
    stored.write_bytes(b"other bytes")
    with pytest.raises(CorruptedArtifactError, match=r"bad 1\.1\.0 cannot be fetched: .*holds other bytes"):
        stores.registry.fetch(version, tmp_path / "copy")
    stored.unlink()
    with pytest.raises(ArtifactNotFoundError, match=r"bad 1\.1\.0 cannot be fetched: "):
        stores.registry.load(version)


def test_a_card_is_readable_as_it_was_written() -> None:
    """The rule for numbers refuses no card that it lets anybody write."""
    assert ModelCard.model_validate_json(CARD.model_dump_json()) == CARD
