"""The hours of served predictions, each held against the suite of the model."""

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

from mlops_dagster.monitoring.expectations import DEFAULTS, NOBODY_SHARES, ValidationPolicy
from mlops_dagster.monitoring.quarantine import quarantine
from mlops_dagster.monitoring.suites import suite_of
from mlops_dagster.monitoring.validation import ValidationResult, validate_each
from mlops_dagster.predictions import PredictionLog
from mlops_dagster.predictions.records import SERVED
from mlops_dagster.registry import ModelVersion


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
    rows = log.read(champion.model, since, until, roles=SERVED).to_pandas()
    columns = {f"feature_{name}": name for name in champion.schema.names}
    hours = rows["event_time"].dt.floor("h")
    batches = {
        hour.to_pydatetime(): batch[list(columns)].rename(columns=columns)
        for hour, batch in rows.groupby(hours, sort=True)
    }
    found = validate_each(batches, suite_of(champion.schema, champion.baseline, policy, shared_by))
    for hour, result in found.items():
        if not result.passed:
            quarantine(home, champion.model, hour, batches[hour], result)
    return found
