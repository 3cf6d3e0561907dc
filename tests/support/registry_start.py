"""When the registry of a test begins."""

from collections.abc import Callable
from datetime import UTC, datetime

from mlops_dagster.registry import (
    ModelVersion,
)

START = datetime(2013, 3, 1, tzinfo=UTC)
Add = Callable[..., ModelVersion]
