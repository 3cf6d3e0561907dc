"""Validation of served predictions, hour by hour, against the suite of the model."""

import functools
from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from mlops_dagster.clock import in_utc
from mlops_dagster.inference import column_of, columns_of
from mlops_dagster.monitoring.quarantine import quarantine
from mlops_dagster.monitoring.validation.expectations.document import suite_of
from mlops_dagster.monitoring.validation.expectations.suite import DEFAULTS, NOBODY_SHARES, ValidationPolicy
from mlops_dagster.monitoring.validation.validate import ValidationResult, validate_each
from mlops_dagster.predictions import PredictionLog, Role
from mlops_dagster.predictions.records import SERVED
from mlops_dagster.registry import ModelVersion
from mlops_dagster.schema import ModelSchema
from mlops_dagster.storage.files import Files

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

_HOUR = timedelta(hours=1)
_ROWS_TOGETHER = 100_000
_WHO = ["prediction_id", "event_time", "version"]
_ASKED: tuple[Role, ...] = (*SERVED, "none")


def validate_hours(
    log: PredictionLog,
    champion: ModelVersion,
    bad: Files,
    since: datetime,
    until: datetime,
    *,
    policy: ValidationPolicy = DEFAULTS,
    rows_per_observation: Mapping[str, float] = NOBODY_SHARES,
    together: int = _ROWS_TOGETHER,
) -> dict[datetime, ValidationResult]:
    """Validate every hour of [since, until) that has rows; the rows of bad hours are set aside in `bad`.

    Rows are those that the split answered, and those that it refused because of a hold: so the first good hour releases
    the model. Besides the features, rows set aside have their `prediction_id`, `event_time` and the `version` that
    answered. At most `together` rows are in memory at once, or those of one hour.

    `champion` gives the suite, unless the policy names a suite file. Versions of one schema share their bins, so the
    champion's ranges hold for all of them. Raises InvalidSuiteError.
    """
    import pandas as pd

    if champion.schema is None:
        return {}
    suite = suite_of(champion.schema, champion.baseline, policy, rows_per_observation)
    found: dict[datetime, ValidationResult] = {}
    for first, last in _stretches(_rows_by_hour(log, champion.model, since, until), together):
        end = min(last + _HOUR, in_utc(until))
        who, batches = _read(log, champion.model, champion.schema, max(first, in_utc(since)), end)
        results = validate_each(batches, suite, alpha=policy.alpha)
        for hour, result in results.items():
            if result.failures:
                of_whom = who.take(batches[hour].index.to_numpy()).to_pandas().set_index(batches[hour].index)
                rows = pd.concat([of_whom, batches[hour]], axis="columns")
                quarantine(bad, champion.model, hour, rows, result)
        found |= results
    return found


def _rows_by_hour(log: PredictionLog, model: str, since: datetime, until: datetime) -> "Counter[datetime]":
    import pyarrow.compute as pc

    rows: Counter[datetime] = Counter()
    for batch in log.batches(model, since, until, _ASKED, {"event_time"}.__contains__):
        for hour in pc.value_counts(pc.floor_temporal(batch["event_time"], unit="hour")).to_pylist():
            rows[in_utc(hour["values"])] += hour["counts"]
    return rows


def _stretches(rows: Mapping[datetime, int], together: int) -> Iterator[tuple[datetime, datetime]]:
    """Yield the first and the last hour of stretches that have at most `together` rows, or are one hour.

    >>> noon = datetime(2013, 3, 1, 12)
    >>> found = _stretches({noon: 40, noon + _HOUR: 60, noon + 5 * _HOUR: 900, noon + 6 * _HOUR: 1}, together=100)
    >>> [(first.hour, last.hour) for first, last in found]
    [(12, 13), (17, 17), (18, 18)]
    """
    stretch: list[datetime] = []
    for hour in sorted(rows):
        if stretch and sum(rows[each] for each in stretch) + rows[hour] > together:
            yield stretch[0], stretch[-1]
            stretch = []
        stretch.append(hour)
    if stretch:
        yield stretch[0], stretch[-1]


def _read(
    log: PredictionLog, model: str, schema: ModelSchema, since: datetime, until: datetime
) -> "tuple[pa.Table, dict[datetime, pd.DataFrame]]":
    """Return the ids, times and versions of the rows, and the frame of each hour that has rows, as the suite needs it.

    The index of a row of the frames is its number in the table.
    """
    import pyarrow.compute as pc

    columns = [column for feature in schema.features for column in columns_of(feature)]
    rows = log.read(model, since, until, [*_WHO, "status", *columns], _ASKED)
    # Rejected requests, and requests that a canary's own schema refused, have no features in the log.
    given = functools.reduce(pc.or_, (pc.is_valid(rows[column]) for column in columns))
    rows = rows.filter(pc.or_(pc.equal(rows["status"], "ok"), given))
    hours = rows["event_time"].to_pandas().dt.floor("h")
    batches = _frame(rows, schema).groupby(hours, sort=True)
    return rows.select(_WHO), {hour.to_pydatetime(): batch for hour, batch in batches}


def _frame(rows: "pa.Table", schema: ModelSchema) -> "pd.DataFrame":
    """Return one column for each feature, float64 or object; a feature that was never sent is missing in every row."""
    import pandas as pd

    return pd.DataFrame({feature.name: column_of(rows, feature) for feature in schema.features})
