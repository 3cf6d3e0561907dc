"""A beat is the last success of one piece of work, on either database."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from mlops_dagster.alerting import Beat, Beats
from mlops_dagster.clock import ReplayedClock

START = datetime(2026, 1, 1, tzinfo=UTC)
MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_the_last_success_of_each_work_is_kept(kind: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/mlops.sqlite" if kind == "sqlite" else request.getfixturevalue("postgresql")
    clock = ReplayedClock(START)
    beats = Beats(url, clock)
    beats.beat("sensor:alerts", MINUTE, note="3 models")
    beats.beat("report:hour", HOUR, model="churn")
    beats.beat("report:hour", HOUR, model="flights")
    clock.advance_to(START + HOUR)
    beats.beat("report:hour", HOUR, model="churn")
    assert beats.list() == [
        Beat("report:hour", "churn", START + HOUR, HOUR, ""),
        Beat("report:hour", "flights", START, HOUR, ""),
        Beat("sensor:alerts", "", START, MINUTE, "3 models"),
    ]
    assert [beat.age(clock.now()) for beat in beats.list()] == [timedelta(0), HOUR, HOUR]
    beats.close()
