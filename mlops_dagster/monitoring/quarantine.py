"""Quarantine: where the rows of a failed batch go, with the reasons."""

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
    """Set the rows aside as `<model>/<what>/<hour>.parquet`, the reasons beside them as `.json`.

    The same hour again replaces both. What Arrow cannot store is there as text, as Python writes the values, and the
    reasons say so. Returns the address of the rows. Raises StorageError.
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
    """Where the rows of a model are set aside: those it was asked for, or `what` else."""
    return files.address(_folder(model, what))


def _folder(model: str, what: str) -> str:
    return f"{model}/{what}" if what else model
