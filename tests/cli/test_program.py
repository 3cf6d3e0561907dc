"""The program itself: what only shows in a process of its own."""

import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

from mlops_dagster.registry import ModelRegistry
from tests.support.forks import Forked
from tests.support.program import mlops_in


@pytest.fixture
def complete(home: Path):
    """What bash is offered at the end of the line, with whatever else the program says."""

    def complete(line: str) -> list[str]:
        asked = {"COMP_WORDS": line, "COMP_CWORD": str(len(line.split(" ")) - 1), "_MLOPS_COMPLETE": "complete_bash"}
        program = Forked(mlops_in, ".", env=os.environ | asked, stdout=subprocess.PIPE, share_stderr=True)
        return program.communicate().split()

    return complete


def test_the_shell_is_offered_models_and_versions(fleet: ModelRegistry, complete) -> None:
    assert complete("mlops models show ch") == ["churn"]
    assert complete("mlops models show churn 1.") == ["1.3.0-rc.1", "1.2.0", "1.1.0", "1.0.0"]
    assert complete("mlops models compare churn 1.0.0 2") == ["2.0.0"]
    assert complete("mlops models rollback churn --to 1.0") == ["1.0.0"]
    assert complete("mlops models show nope ") == []


def test_a_tab_in_an_empty_home_is_silent_and_makes_nothing(home: Path, complete) -> None:
    assert complete("mlops models show ") == []
    assert not home.exists()


def test_zsh_is_shown_the_stages(fleet: ModelRegistry, program) -> None:
    found = program(_MLOPS_COMPLETE="complete_zsh", _TYPER_COMPLETE_ARGS="mlops models show churn 1.2")
    assert '"1.2.0":"Canary"' in found.stdout


@pytest.mark.parametrize("arguments", [["list"], ["card", "churn", "1.0.0"]])
def test_a_closed_pipe_is_no_traceback(fleet: ModelRegistry, program, arguments: list[str]) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    assert program("models", *arguments, stdout=writer).stderr == ""
    os.close(writer)


def test_a_terminal_that_lacks_a_letter_still_gets_the_rest(fleet: ModelRegistry, program) -> None:
    fleet.transition(fleet.get("churn", "1.2.0"), "Registered", reason="höher wäre besser")
    found = program("models", "history", "churn", PYTHONIOENCODING="ascii")
    assert (found.returncode, found.stderr) == (0, "")
    assert r"h\xf6her w\xe4re besser" in found.stdout


@pytest.mark.parametrize(("more", "coloured"), [({}, True), ({"NO_COLOR": "1"}, False)])
def test_a_terminal_has_colours_unless_it_wants_none(
    fleet: ModelRegistry, program, more: dict[str, str], coloured: bool
) -> None:
    reader, writer = pty.openpty()
    assert program("models", "list", stdout=writer, TERM="xterm-256color", COLUMNS="120", **more).returncode == 0
    os.close(writer)
    shown = os.read(reader, 10_000).decode()
    os.close(reader)
    assert "95 % traffic" in shown
    assert ("\x1b[31mRolled back" in shown) is coloured


def test_a_wrong_setting_is_named(program) -> None:
    found = program("models", "list", MLOPS_PORT="eighty")
    assert found.returncode == 1
    assert found.stderr.startswith(
        "error (invalid_input): MLOPS_* in the environment cannot be used: port: Input should"
    )


def test_help_imports_nothing_slow() -> None:
    slow = {"numpy", "pydantic", "sqlalchemy", "dagster"}
    script = f"import sys, mlops_dagster.cli; print(*{slow} & set(sys.modules))"
    found = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == ""
