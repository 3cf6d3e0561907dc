"""Catching up: what is missing is asked for in one run, and nothing that is not over yet."""

import tempfile
from datetime import UTC, datetime, timedelta

import dagster as dg
import pytest

from mlops_dagster.components.partitions import (
    LONGEST_CATCH_UP,
    RANGE_END,
    RANGE_START,
    daily,
    due_every,
    hourly,
    missing_range,
)

KEYS = (dg.AssetKey(["m", "a"]), dg.AssetKey(["m", "b"]))
FIRST = datetime(2013, 3, 2, 5, 30, tzinfo=UTC)


def asked(
    now: datetime, present: dict[dg.AssetKey, list[str]], first: datetime | None = FIRST
) -> dg.RunRequest | dg.SkipReason:
    with tempfile.TemporaryDirectory() as folder, dg.DagsterInstance.local_temp(folder) as instance:
        for key, partitions in present.items():
            for partition in partitions:
                instance.report_runless_asset_event(dg.AssetMaterialization(key, partition=partition))
        context = dg.build_schedule_context(instance=instance, scheduled_execution_time=now)
        return missing_range(context, KEYS, hourly(), first=first, job_name="job")


def bounds(found: dg.RunRequest | dg.SkipReason) -> tuple[str, str]:
    assert isinstance(found, dg.RunRequest)
    return found.tags[RANGE_START], found.tags[RANGE_END]


def test_all_complete_hours_since_the_first_prediction_in_one_run() -> None:
    assert bounds(asked(datetime(2013, 3, 2, 9, 5, tzinfo=UTC), {})) == ("2013-03-02-05:00", "2013-03-02-08:00")


def test_a_hole_in_one_asset_is_filled() -> None:
    hours = [f"2013-03-02-{hour:02}:00" for hour in range(5, 9)]
    present = {KEYS[0]: hours, KEYS[1]: [hour for hour in hours if hour != "2013-03-02-06:00"]}
    assert bounds(asked(datetime(2013, 3, 2, 9, 5, tzinfo=UTC), present)) == ("2013-03-02-06:00", "2013-03-02-06:00")


def test_nothing_missing_and_nothing_predicted_request_nothing() -> None:
    now = datetime(2013, 3, 2, 6, 5, tzinfo=UTC)
    assert asked(now, {key: ["2013-03-02-05:00"] for key in KEYS}).skip_message == "nothing is missing"
    assert asked(now, {}, first=None).skip_message == "no predictions yet"


def test_one_run_is_never_longer_than_the_limit() -> None:
    start, end = bounds(asked(FIRST + timedelta(days=400), {}))
    length = datetime.strptime(end, "%Y-%m-%d-%H:%M") - datetime.strptime(start, "%Y-%m-%d-%H:%M")  # noqa: DTZ007
    assert LONGEST_CATCH_UP - timedelta(hours=2) <= length <= LONGEST_CATCH_UP


@pytest.mark.parametrize("hour", [0, 12])
def test_a_day_is_asked_for_once_it_is_over(hour: int) -> None:
    with tempfile.TemporaryDirectory() as folder, dg.DagsterInstance.local_temp(folder) as instance:
        now = datetime(2013, 3, 4, hour, tzinfo=UTC)
        context = dg.build_schedule_context(instance=instance, scheduled_execution_time=now)
        found = missing_range(context, KEYS, daily(), first=FIRST, job_name="job")
    assert bounds(found) == ("2013-03-02", "2013-03-03")


def test_recorded_traffic_ends_and_nothing_of_it_is_due(monkeypatch: pytest.MonkeyPatch) -> None:
    assert due_every(timedelta(days=1)) is not None
    monkeypatch.setenv("MLOPS_UNTIL", "2013-04-01")
    assert due_every(timedelta(days=1)) is None
