"""The pages name commands, options, settings and metrics that there are."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer.main
from prometheus_client import CollectorRegistry

from mlops_dagster.cli import app
from mlops_dagster.serving.telemetry.fleet import GAUGES
from mlops_dagster.serving.telemetry.telemetry import Telemetry
from mlops_dagster.settings import Settings

ROOT = Path(__file__).parents[2]
PAGES = [
    ROOT / "README.md",
    *(page for page in sorted((ROOT / "docs").rglob("*.md")) if not {"generated", "decisions"} & set(page.parts)),
]
_COMMAND = re.compile(r"(?:^|`|&& |cd \S+ && )(mlops [a-z][^`\n|;]*)", re.MULTILINE)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_command_and_option_exists(page: Path) -> None:
    assert [wrong for line in _COMMAND.findall(page.read_text()) if (wrong := _unknown(line))] == []


def test_every_setting_exists() -> None:
    known = {f"MLOPS_{name.upper()}" for name in Settings.model_fields}
    assert set(_words(r"\bMLOPS_[A-Z_]+[A-Z]\b")) <= known


def test_every_metric_exists() -> None:
    families = {family.name: family.type for family in _registry().collect()}
    known = {f"{name}_total" if kind == "counter" else name for name, kind in families.items()}
    known |= {f"mlops_{name}" for name in GAUGES}
    named = set(_words(r"(?<!:)\bmlops_[a-z_]+[a-z]\b(?!\.|\(|/|\"|:)")) - {"mlops_dagster"}
    assert named <= known


@pytest.mark.parametrize("folder", ["mlops_dagster", "examples", "bench", "tests"])
def test_every_page_that_the_code_names_exists(folder: str) -> None:
    named = {
        (file.name, page)
        for file in (ROOT / folder).rglob("*.py")
        for page in re.findall(r"\bdocs/[\w/.-]+\.md", file.read_text())
    }
    assert [each for each in named if not (ROOT / each[1]).exists()] == []


def test_every_file_that_the_architecture_names_exists() -> None:
    named = re.findall(r"`([a-z_]+/[\w/.]+)`", (ROOT / "docs" / "architecture.md").read_text())
    inside = [path for path in named if not path.startswith(("docs/", "examples/"))]
    assert inside
    assert [path for path in inside if not (ROOT / "mlops_dagster" / path).exists()] == []


def _registry() -> CollectorRegistry:
    return Telemetry("docs")._registry


def _words(pattern: str) -> Iterator[str]:
    return (word for page in PAGES for word in re.findall(pattern, page.read_text()))


def _unknown(line: str) -> str | None:
    """Return the first word of a command line that `mlops` does not know; None if it knows all."""
    command: Any = typer.main.get_command(app)
    words = line.split("#")[0].split()[1:]
    while words and hasattr(command, "commands"):
        names = words[0].split("|")
        if any(name not in command.commands for name in names):
            return f"{line!r}: no command {words[0]!r}"
        command, words = command.commands[names[0]], words[1:]
    options = {name for each in getattr(command, "params", ()) for name in (*each.opts, *each.secondary_opts)}
    named = [word.split("=")[0].rstrip(".,);:") for word in words if word.startswith("--")]
    return next((f"{line!r}: no option {name}" for name in named if name not in {*options, "--help"}), None)
