"""The commands of the README, in a home of their own."""

import os
import subprocess
import sys
from pathlib import Path

import dagster as dg
import pytest
from typer.testing import CliRunner

from mlops_dagster.cli import app
from mlops_dagster.registry import ModelRegistry
from mlops_dagster.settings import Settings

PROGRAMS = Path(sys.executable).parent
ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "examples" / "flights"
DRIFT = dg.AssetKey(["flights_delay", "drift_report"])
HOUR = "2013-03-02-12:00"


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    dagster_home = tmp_path / "dagster"
    dagster_home.mkdir()
    (dagster_home / "dagster.yaml").write_bytes((ROOT / "mlops_dagster" / "dagster.yaml").read_bytes())
    return {**os.environ, "MLOPS_HOME": str(tmp_path / "mlops"), "DAGSTER_HOME": str(dagster_home)}


def run(environment: dict[str, str], program: str, *arguments: str, folder: Path = ROOT) -> None:
    found = subprocess.run(
        [PROGRAMS / program, *arguments], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert found.returncode == 0, found.stdout[-2000:] + found.stderr[-2000:]


def materialized(environment: dict[str, str]) -> set[str]:
    with dg.DagsterInstance.from_config(environment["DAGSTER_HOME"]) as instance:
        return instance.get_materialized_partitions(DRIFT)


def test_an_hour_is_materialized_from_the_command_line(environment: dict[str, str]) -> None:
    run(
        environment,
        "dagster",
        *("asset", "materialize", "-m", "flights.definitions"),
        *("--select", "flights_delay/drift_report", "--partition", HOUR),
        folder=EXAMPLE,
    )
    assert materialized(environment) == {HOUR}


def test_an_hour_is_launched_with_dg(environment: dict[str, str]) -> None:
    run(environment, "dg", "launch", "--assets", "flights_delay/drift_report", "--partition", HOUR, folder=EXAMPLE)
    assert materialized(environment) == {HOUR}


def test_a_job_is_launched_into_the_queue_of_the_daemon(environment: dict[str, str]) -> None:
    config = '{"ops": {"withdrawal": {"config": {"model": "flights-delay", "reason": "complaints"}}}}'
    run(
        environment,
        "dagster",
        *("job", "launch", "-w", "workspace.yaml", "-j", "rollback", "--config-json", config),
    )
    with dg.DagsterInstance.from_config(environment["DAGSTER_HOME"]) as instance:
        (launched,) = instance.get_runs()
    assert (launched.job_name, launched.status) == ("rollback", dg.DagsterRunStatus.QUEUED)
    assert launched.tags["dagster/priority"] == "100"


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A model with two versions that nobody promoted."""
    monkeypatch.setenv("MLOPS_HOME", str(tmp_path))
    registry = ModelRegistry(settings=Settings(), actor="test")
    for version in ("1.0.0", "1.1.0"):
        artifact = tmp_path / f"{version}.onnx"
        artifact.write_text(version)
        registry.register("churn", artifact, version)
    return tmp_path


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["models", "rollback", "nope", "--reason", "r"], "model_not_found"),
        (["models", "rollback", "churn", "--reason", "r"], "transition_not_allowed"),
        (["models", "history", "nope"], "model_not_found"),
        (["rollouts", "pause", "churn", "--reason", "r"], "rollout_not_found"),
    ],
)
def test_what_cannot_be_done_is_said_in_one_line_with_its_code(home: Path, arguments: list[str], code: str) -> None:
    found = CliRunner().invoke(app, arguments)
    assert found.exit_code == 1
    assert f"({code})" in found.stderr
    assert "Traceback" not in found.stderr


def test_a_home_that_cannot_be_written_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("MLOPS_HOME", str(tmp_path / "file" / "home"))
    found = CliRunner().invoke(app, ["models", "list"])
    assert found.exit_code == 1
    assert "(home_not_writable)" in found.stderr


def test_versions_and_their_history_are_listed(home: Path) -> None:
    listed = CliRunner().invoke(app, ["models", "list"])
    assert listed.exit_code == 0
    assert "1.0.0" in listed.stdout
    assert "1.1.0" in listed.stdout
    assert "Registered" in listed.stdout
    history = CliRunner().invoke(app, ["models", "history", "churn"])
    assert history.stdout.count("registered") == 2
    verified = CliRunner().invoke(app, ["audit", "verify"])
    assert verified.exit_code == 0
    assert verified.stdout.startswith("2 events, unbroken")


def test_an_audit_of_nothing_is_complete(home: Path) -> None:
    assert CliRunner().invoke(app, ["predictions", "audit"]).exit_code == 0
