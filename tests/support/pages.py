"""Pages of the documentation, followed as a reader would: their bash blocks, one command after the other."""

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType

import pytest
from typer.testing import CliRunner

from mlops_dagster.cli import app

ROOT = Path(__file__).parents[2]
_HERE_DOCUMENT = re.compile(r"<<'(\w+)'")


def commands(page: Path) -> Iterator[str]:
    """Yield the commands of all bash blocks; a here-document belongs to its command."""
    for block in re.findall(r"^```bash\n(.*?)^```$", page.read_text(), re.MULTILINE | re.DOTALL):
        lines = iter(block.splitlines())
        for line in lines:
            command, here = line, _HERE_DOCUMENT.search(line)
            while here and not command.endswith(f"\n{here[1]}"):
                command += f"\n{next(lines)}"
            if command.strip():
                yield command


def follow(
    page: Path,
    environment: pytest.MonkeyPatch,
    replacing: Mapping[str, str] = MappingProxyType({}),
    leaving_out: Collection[str] = (),
) -> str:
    """Run a page in the current folder, and return all that its commands said; the first that fails ends it.

    `replacing` are addresses of the page with those of the test, `leaving_out` commands that another test has run.
    `mlops` runs in this process, which saves the second that each start of it takes.
    """
    environment.setenv("PWD", str(Path.cwd()))
    said = ""
    for command in commands(page):
        if command in leaving_out:
            continue
        for old, new in replacing.items():
            command = command.replace(old, new)
        said += _run(command, environment)
    return said


def _run(command: str, environment: pytest.MonkeyPatch) -> str:
    words = shlex.split(command, comments=True) if "<<" not in command else [""]
    if words[0] == "export":
        for each in words[1:]:
            name, value = each.split("=", 1)
            environment.setenv(name, os.path.expandvars(value))
        return ""
    if words[0] == "mlops":
        result = CliRunner().invoke(app, words[1:])
        assert result.exit_code == 0, f"{command}\n{result.output}\n{result.exception!r}"
        return result.output
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    found = subprocess.run(
        ["/bin/bash", "-ec", command], env={**os.environ, "PATH": path}, capture_output=True, text=True, check=False
    )
    assert found.returncode == 0, f"{command}\n{found.stdout}{found.stderr}"
    return found.stdout
