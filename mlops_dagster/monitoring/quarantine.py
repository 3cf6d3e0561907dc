"""Quarantine: files with the rows of a failed batch, and the reasons."""

import json
from datetime import datetime
from typing import TYPE_CHECKING

from mlops_dagster.clock import in_utc
from mlops_dagster.errors import InvalidInputError
from mlops_dagster.monitoring.validation.validate import ValidationResult
from mlops_dagster.storage.files import Files
from mlops_dagster.storage.parquet import as_parquet, as_text

if TYPE_CHECKING:
    import pandas as pd


def quarantine(
    files: Files, model: str, hour: datetime, frame: "pd.DataFrame", result: ValidationResult, *, what: str = ""
) -> str:
    """Set the rows aside as `<model>/<what>/<hour>.parquet`, with the reasons next to them as `.json`.

    The same hour again replaces both files. If Arrow cannot store the rows, their values are stored as text, as Python
    writes them, and the reasons say so. Returns the address of the rows. Raises StorageError.
    """
    hour = in_utc(hour)
    name = f"{_folder(model, what)}/{hour:%Y-%m-%dT%H}"
    try:
        content, remark = as_parquet(frame), {}
    except InvalidInputError as error:
        content, remark = as_parquet(as_text(frame)), {"as_text": error.message}
    reasons = {
        "model": model,
        "hour": hour.isoformat(),
        "rows": result.rows,
        "failures": result.failures,
        **remark,
    }
    rows = files.put(f"{name}.parquet", content)
    files.put(f"{name}.json", json.dumps(reasons, indent=2).encode())
    return rows


def quarantine_of(files: Files, model: str, what: str = "") -> str:
    """Return the address where a model's rows are set aside: those of its requests, or those named by `what`."""
    return files.address(_folder(model, what))


def _folder(model: str, what: str) -> str:
    return f"{model}/{what}" if what else model
