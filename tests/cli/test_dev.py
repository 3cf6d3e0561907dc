"""`mlops dev` on ports of one's own."""

import socket
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
from typer.testing import CliRunner

from mlops_dagster.cli import app
from mlops_dagster.dev import free_port


@pytest.mark.parametrize(
    ("options", "ui_port", "variables"),
    [
        (
            (),
            "3000",
            {"MLOPS_DAGSTER_URL": "http://127.0.0.1:3000", "MLOPS_BOARD_URL": "http://127.0.0.1:8081"},
        ),
        (
            ("--port", "18080", "--ui-port", "13000", "--board-port", "18081"),
            "13000",
            {
                "MLOPS_PORT": "18080",
                "MLOPS_DAGSTER_URL": "http://127.0.0.1:13000",
                "MLOPS_BOARD_PORT": "18081",
                "MLOPS_BOARD_URL": "http://127.0.0.1:18081",
            },
        ),
    ],
)
def test_each_server_gets_its_port(
    options: tuple[str, ...],
    ui_port: str,
    variables: dict[str, str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    started: list[object] = []

    def run(commands: Sequence[Sequence[str]], environment: Mapping[str, str]) -> int:
        started.extend([*commands, environment])
        return 0

    monkeypatch.setenv("MLOPS_HOME", str(tmp_path))
    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    monkeypatch.delenv("MLOPS_DAGSTER_URL", raising=False)
    monkeypatch.setattr("mlops_dagster.dev.run_together", run)
    monkeypatch.setattr("mlops_dagster.dev.free_port", lambda usual: usual)
    assert CliRunner().invoke(app, ["dev", *options]).exit_code == 0
    everywhere = {"DAGSTER_HOME": str(tmp_path / "dagster"), **variables}
    servers = [["mlops", "serve"], ["mlops", "board"]]
    assert started == [["dagster", "dev", "-w", "workspace.yaml", "-p", ui_port], *servers, everywhere]
    assert "max_concurrent_runs" in (tmp_path / "dagster" / "dagster.yaml").read_text()


def test_a_port_that_is_taken_is_not_picked() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        taken = listener.getsockname()[1]
        assert free_port(taken) != taken
    assert free_port(taken) == taken


def test_a_port_that_is_none_is_refused() -> None:
    assert CliRunner().invoke(app, ["dev", "--ui-port", "99999"]).exit_code == 2
