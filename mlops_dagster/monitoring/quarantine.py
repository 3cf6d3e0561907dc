"""Quarantine: where the rows of a failed batch go, with the reasons."""

import json
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from mlops_dagster.clock import in_utc
from mlops_dagster.monitoring.validation import ValidationResult

if TYPE_CHECKING:
    import pandas as pd


def quarantine(
    home: Path, model: str, hour: datetime, frame: "pd.DataFrame", result: ValidationResult, *, what: str = ""
) -> Path:
    """Set the rows aside as `home/quarantine/<model>/<what>/<hour>.parquet`, the reasons beside them as `.json`.

    The same hour again replaces both. Returns the path of the rows.
    """
    hour = in_utc(hour)
    folder = quarantine_of(home, model, what)
    folder.mkdir(parents=True, exist_ok=True)
    rows = folder / f"{hour:%Y-%m-%dT%H}.parquet"
    unfinished = rows.with_suffix(".part")
    frame.to_parquet(unfinished, index=False)
    unfinished.replace(rows)
    reasons = {"model": model, "hour": hour.isoformat(), "rows": result.rows, "failures": result.failures}
    unfinished.write_text(json.dumps(reasons, indent=2))
    unfinished.replace(rows.with_suffix(".json"))
    return rows


def quarantine_of(home: Path, model: str, what: str = "") -> Path:
    """Where the rows of a model are set aside: those it was asked for, or `what` else."""
    return home / "quarantine" / model / what
