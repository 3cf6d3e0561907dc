"""The program `mlops`, as tests call it."""

import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from typer.testing import Result

START = datetime(2026, 1, 1, tzinfo=UTC)
MLOPS = Path(sys.executable).parent / "mlops"
Mlops = Callable[..., Result]
