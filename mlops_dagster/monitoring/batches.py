"""The hours of served predictions, each held against the suite of the model."""

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from mlops_dagster.monitoring.expectations import DEFAULTS, NOBODY_SHARES, ValidationPolicy
from mlops_dagster.monitoring.quarantine import quarantine
from mlops_dagster.monitoring.suites import suite_of
from mlops_dagster.monitoring.validation import ValidationResult, validate_each
from mlops_dagster.predictions import PredictionLog
from mlops_dagster.predictions.records import SERVED
from mlops_dagster.registry import ModelVersion
from mlops_dagster.schema import Feature, ModelSchema

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa


def validate_hours(
    log: PredictionLog,
    champion: ModelVersion,
    home: Path,
    since: datetime,
    until: datetime,
    *,
    policy: ValidationPolicy = DEFAULTS,
    shared_by: Mapping[str, float] = NOBODY_SHARES,
) -> dict[datetime, ValidationResult]:
    """Validate every hour of [since, until) that has rows; the rows of bad hours are set aside under `home`.

    `champion` gives the suite, unless the policy names a file of one. Versions of one schema share their bins, so its
    ranges hold for all of them. Raises InvalidSuiteError.
    """
    if champion.schema is None:
        return {}
    columns = [column for feature in champion.schema.features for column in _columns(feature)]
    rows = log.read(champion.model, since, until, ["event_time", *columns], SERVED)
    frame = _frame(rows, champion.schema)
    hours = rows["event_time"].to_pandas().dt.floor("h")
    batches = {hour.to_pydatetime(): batch for hour, batch in frame.groupby(hours, sort=True)}
    found = validate_each(batches, suite_of(champion.schema, champion.baseline, policy, shared_by))
    for hour, result in found.items():
        if not result.passed:
            quarantine(home, champion.model, hour, batches[hour], result)
    return found


def _columns(feature: Feature) -> tuple[str, str]:
    """Where the log has the values of this kind: the second, if it saw the other kind first under this name."""
    suffix = "__number" if feature.kind == "numeric" else "__text"
    return f"feature_{feature.name}", f"feature_{feature.name}{suffix}"


def _frame(rows: "pa.Table", schema: ModelSchema) -> "pd.DataFrame":
    """One column for each feature, float64 or object. One that nobody ever sent is missing in every row."""
    import pandas as pd
    import pyarrow as pa
    import pyarrow.compute as pc

    columns = {}
    for feature in schema.features:
        kind = pa.float64() if feature.kind == "numeric" else pa.string()
        of_kind = [rows[name] for name in _columns(feature) if rows[name].type == kind]
        values = pc.coalesce(*of_kind) if of_kind else pa.nulls(rows.num_rows, kind)
        columns[feature.name] = values.to_pandas()
    return pd.DataFrame(columns)
