"""What a rehearsal plays."""

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
    """The history of one model, and what goes wrong meanwhile.

    The first version is trained as of `start`, by the model's own trainer. Traffic runs over [start, until); labels and
    whatever follows from them are waited for after that.
    """

    model: str
    """As its YAML calls it."""
    requests: pd.DataFrame
    """One row a request; docs/rehearsal.md says which columns."""
    labels: pd.DataFrame | None = None
    """Labels by `prediction_id`, if they are not in `requests`."""
    start: datetime | None = None
    """A full hour; None for the beginning of the first request's day, UTC."""
    until: datetime | None = None
    """A full hour; None for the end of the last request's hour."""
    bad_releases: tuple[BadRelease, ...] | None = None
    """None for those that suit the schema and the data."""
    project: Path = Path()
    """The folder whose `workspace.yaml` names the code location that has the model."""
    policy: Mapping[str, object] | None = None
    """Sections of a `defs.yaml` (`rollout`, `drift`, ...) that replace those of the model's own."""

    def __post_init__(self) -> None:
        for name, time in (("start", self.start), ("until", self.until)):
            if time is not None and (time.tzinfo is None or time.minute or time.second or time.microsecond):
                raise ValueError(f"{name} must be a full hour with a time zone, not {time.isoformat()}")
        if self.start is not None and self.until is not None and in_utc(self.until) <= in_utc(self.start):
            raise ValueError(f"until ({self.until.isoformat()}) must come after start ({self.start.isoformat()})")
