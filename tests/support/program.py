"""The program `mlops`, as tests call it."""

import os
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from typer.testing import Result

START = datetime(2026, 1, 1, tzinfo=UTC)
MLOPS = Path(sys.executable).parent / "mlops"
Mlops = Callable[..., Result]


def mlops_in(folder: str, *arguments: str) -> None:
    """Be the program, in a process that was forked for it: a start of its own takes a second of CPU."""
    from mlops_dagster.cli import app

    os.chdir(folder)
    sys.argv = ["mlops", *arguments]
    app(prog_name="mlops")
