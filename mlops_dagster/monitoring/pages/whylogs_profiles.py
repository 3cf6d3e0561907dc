"""whylogs profiles of every model, version and hour: features and answers, for people to look at and compare.

A profile is made from the prediction log once an hour is over, is written once, and is never an input to a decision. A
row that reaches the log later is in no profile (`counts/n` of the hour's profile shows that it is missing).

    import whylogs
    one = whylogs.read("<home>/artifacts/profiles/flights/1.2.0/2013-03-01T05.bin").view()
    another = whylogs.read(...).view()          # any version, any hour; one.merge(another) adds them up

The viewer of whylogs, `whylogs.viz.NotebookProfileVisualizer`, needs `ipython` and `pybars3`.
"""

from collections import defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from mlops_dagster.clock import in_utc
from mlops_dagster.errors import InvalidInputError
from mlops_dagster.extras import require
from mlops_dagster.predictions import PredictionLog
from mlops_dagster.predictions.records import Role
from mlops_dagster.storage.files import Files

if TYPE_CHECKING:
    import pyarrow as pa

    from mlops_dagster.monitoring.pages.whylogs_columns import Profile

SCORED: tuple[Role, ...] = ("champion", "canary", "shadow", "paired", "named")
"""The roles in a profile: a version is shown with all rows it scored, whether they were answers or not."""

_HOUR = timedelta(hours=1)
_MICROSECONDS = 3_600_000_000  # of an hour
_SORTED_BY = ("event_time", "version")
_PROFILED = ("prediction", "score", "latency_ms", "status")


def profile_hours(
    log: PredictionLog, model: str, since: datetime, until: datetime, files: Files
) -> dict[datetime, list[str]]:
    """Profile the whole hours of [since, until) that have rows; return the addresses of the files by hour.

    Reads the log day by day, in pieces: memory grows with the versions of a day, and not with its rows.
    Raises InvalidInputError for a part of an hour, StorageError.
    """
    found: defaultdict[datetime, list[str]] = defaultdict(list)
    for start, end in _days(in_utc(since), in_utc(until)):
        for (hour, version), profile in sorted(_profiles(log, model, start, end).items()):
            name = f"{model}/{version}/{hour:%Y-%m-%dT%H}.bin"
            about = {"model": model, "version": version, "hour": hour.isoformat()}
            found[hour].append(files.add(name, profile.serialize(hour, about)))
    return dict(found)


def _days(since: datetime, until: datetime) -> Iterator[tuple[datetime, datetime]]:
    for time in (since, until):
        if time != time.replace(minute=0, second=0, microsecond=0):
            raise InvalidInputError(f"a profile is of a whole hour; {time.isoformat()} is within one")
    while since < until:
        midnight = since.replace(hour=0) + timedelta(days=1)
        yield since, min(midnight, until)
        since = midnight


def _profiles(
    log: PredictionLog, model: str, since: datetime, until: datetime
) -> "dict[tuple[datetime, str], Profile]":
    profiles: dict[tuple[datetime, str], Profile] = {}
    for batch in log.batches(model, since, until, SCORED, _is_needed):
        for hour, version, rows in _by_hour_and_version(batch):
            if (hour, version) not in profiles:
                profiles[hour, version] = _new_profile()
            profiles[hour, version].track(rows)
    return profiles


def _new_profile() -> "Profile":
    require("monitoring", "a profile of an hour")
    # Imported only if there are rows: the import takes seconds.
    from mlops_dagster.monitoring.pages.whylogs_columns import Profile

    return Profile()


def _is_needed(column: str) -> bool:
    return column.startswith("feature_") or column in _PROFILED or column in _SORTED_BY


def _by_hour_and_version(batch: "pa.RecordBatch") -> "Iterator[tuple[datetime, str, pa.Table]]":
    import numpy as np
    import pyarrow as pa

    rows = pa.Table.from_batches([batch])
    hours = rows["event_time"].cast(pa.int64()).to_numpy() // _MICROSECONDS
    versions = rows["version"].combine_chunks().dictionary_encode()
    keys = hours * len(versions.dictionary) + versions.indices.to_numpy()
    order = np.argsort(keys, kind="stable")
    rows = rows.drop_columns(list(_SORTED_BY)).take(order)
    keys, starts = np.unique(keys[order], return_index=True)
    for key, start, end in zip(keys, starts, [*starts[1:], len(order)], strict=True):
        hour, version = divmod(int(key), len(versions.dictionary))
        at = datetime.fromtimestamp(hour * 3600, UTC)
        yield at, versions.dictionary[version].as_py(), rows.slice(start, end - start)
