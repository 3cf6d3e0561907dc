"""The scenario of a rehearsal: history, faults and policies."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from mlops_dagster.clock import in_utc
from mlops_dagster.rehearsal.releases.bad_release import BadRelease

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, eq=False)
class Scenario:
    """The history of one model, and the faults that are played with it.

    The first version is trained as of `start`, by the model's own trainer. Traffic runs over [start, until); the
    rehearsal then waits for labels and their consequences.
    """

    model: str
    """The model's name in its YAML."""
    requests: pd.DataFrame
    """One row a request; docs/how-to/rehearse.md lists the columns."""
    labels: pd.DataFrame | None = None
    """Labels by `prediction_id`, if they are not in `requests`."""
    start: datetime | None = None
    """A full hour; None for the beginning of the first request's day, UTC."""
    until: datetime | None = None
    """A full hour; None for the end of the last request's hour."""
    bad_releases: tuple[BadRelease, ...] | None = None
    """None for those that are chosen for the schema and the data."""
    project: Path = Path()
    """The folder whose `workspace.yaml` names the code location that has the model."""
    policy: Mapping[str, object] | None = None
    """Sections of a `defs.yaml` (`rollout`, `drift`, ...) that replace the model's own sections."""

    def __post_init__(self) -> None:
        for name, time in (("start", self.start), ("until", self.until)):
            if time is not None and (time.tzinfo is None or time.minute or time.second or time.microsecond):
                raise ValueError(f"{name} must be a full hour with a time zone, not {time.isoformat()}")
        if self.start is not None and self.until is not None and in_utc(self.until) <= in_utc(self.start):
            raise ValueError(f"until ({self.until.isoformat()}) must come after start ({self.start.isoformat()})")
