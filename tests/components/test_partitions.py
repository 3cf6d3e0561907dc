from datetime import UTC, datetime

import pytest

from mlops_dagster.components.partitions import DAILY, HOURLY, WEEKLY, Cadence, begin_anew
from mlops_dagster.loop.judging.catching_up import complete_periods

FIRST = datetime(2013, 3, 2, 5, 30, tzinfo=UTC)
BEGIN = datetime(2013, 3, 1, tzinfo=UTC)


def test_all_complete_hours_since_the_first_prediction() -> None:
    hours = [datetime(2013, 3, 2, hour, tzinfo=UTC) for hour in range(5, 9)]
    assert complete_periods(BEGIN, HOURLY.every, FIRST, datetime(2013, 3, 2, 9, 5, tzinfo=UTC)) == hours


@pytest.mark.parametrize("hour", [0, 12])
def test_a_day_is_complete_once_it_is_over(hour: int) -> None:
    days = [datetime(2013, 3, day, tzinfo=UTC) for day in (2, 3)]
    assert complete_periods(BEGIN, DAILY.every, FIRST, datetime(2013, 3, 4, hour, tzinfo=UTC)) == days


@pytest.mark.parametrize("cadence", [HOURLY, DAILY, WEEKLY])
def test_complete_periods_are_the_partitions_of_dagster(cadence: Cadence, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where the first day is in the middle of a week."""
    monkeypatch.setenv("MLOPS_PARTITIONS_START", "2013-03-01")
    begin_anew()
    try:
        partitions = cadence.partitions()
        begin = partitions.get_next_partition_window(partitions.start, respect_bounds=False)
        assert begin is not None
        until = datetime(2013, 5, 7, 13, tzinfo=UTC)
        found = complete_periods(begin.start, cadence.every, BEGIN, until)
        assert [f"{start:{partitions.fmt}}" for start in found] == partitions.get_partition_keys(until)
    finally:
        begin_anew()


def test_recorded_traffic_ends_and_nothing_of_it_is_due(monkeypatch: pytest.MonkeyPatch) -> None:
    assert DAILY.freshness() is not None
    monkeypatch.setenv("MLOPS_PARTITIONS_END", "2013-04-01")
    begin_anew()
    try:
        assert DAILY.freshness() is None
    finally:
        begin_anew()
