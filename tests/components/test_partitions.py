from datetime import UTC, datetime, timedelta

import pytest

from mlops_dagster.components.partitions import complete, daily, due_every, hourly

FIRST = datetime(2013, 3, 2, 5, 30, tzinfo=UTC)


def test_all_complete_hours_since_the_first_prediction() -> None:
    hours = [f"2013-03-02-{hour:02}:00" for hour in range(5, 9)]
    assert complete(hourly(), FIRST, datetime(2013, 3, 2, 9, 5, tzinfo=UTC)) == hours


@pytest.mark.parametrize("hour", [0, 12])
def test_a_day_is_complete_once_it_is_over(hour: int) -> None:
    assert complete(daily(), FIRST, datetime(2013, 3, 4, hour, tzinfo=UTC)) == ["2013-03-02", "2013-03-03"]


def test_recorded_traffic_ends_and_nothing_of_it_is_due(monkeypatch: pytest.MonkeyPatch) -> None:
    assert due_every(timedelta(days=1)) is not None
    monkeypatch.setenv("MLOPS_PARTITIONS_END", "2013-04-01")
    hourly.cache_clear()
    try:
        assert due_every(timedelta(days=1)) is None
    finally:
        hourly.cache_clear()
