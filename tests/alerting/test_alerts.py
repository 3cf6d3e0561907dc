"""One alert is open per model and rule, whoever sees it and however often."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from mlops_dagster.alerting import Alerts, Rule, Severity
from mlops_dagster.clock import ReplayedClock

START = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/mlops.sqlite" if request.param == "sqlite" else request.getfixturevalue("postgresql")


def test_what_is_seen_again_is_the_same_alert(url: str) -> None:
    clock = ReplayedClock(START)
    alerts = Alerts(url, clock)
    first = alerts.report("churn", Rule.MACRO_F1, Severity.WARNING, "macro-F1 0.86, limit 0.87", evidence={"rows": 900})
    clock.advance_to(START + timedelta(hours=1))
    again = alerts.report("churn", Rule.MACRO_F1, Severity.CRITICAL, "macro-F1 0.80, floor 0.83", done="rolled back")
    assert again.id == first.id
    assert (again.opened_at, again.last_seen_at, again.times) == (START, START + timedelta(hours=1), 2)
    assert (again.severity, again.done, again.evidence) == (Severity.CRITICAL, "rolled back", {})
    assert alerts.list() == [again]
    assert alerts.list("other") == []
    alerts.close()


def test_a_resolved_one_stays_and_the_next_is_another(url: str) -> None:
    clock = ReplayedClock(START)
    alerts = Alerts(url, clock)
    first = alerts.report("churn", Rule.VALIDATION, Severity.CRITICAL, "9 % nulls", evidence={"é": [1, None]})
    assert alerts.resolve("churn", Rule.MACRO_F1, "never broken") is None
    over = alerts.resolve("churn", Rule.VALIDATION, "the next hour passed")
    assert over is not None
    assert not over.open
    assert (over.id, over.resolved_at, over.evidence) == (first.id, START, {"é": [1, None]})
    assert alerts.resolve("churn", Rule.VALIDATION, "again") is None
    second = alerts.report("churn", Rule.VALIDATION, Severity.CRITICAL, "4 % nulls")
    assert second.id != first.id
    assert alerts.list("churn") == [second]
    assert alerts.list("churn", resolved=True) == [over, second]
    alerts.close()


def test_of_many_who_see_it_at_once_one_opens_it(url: str) -> None:
    alerts = Alerts(url, ReplayedClock(START))
    with ThreadPoolExecutor(8) as pool:
        seen = list(pool.map(lambda n: alerts.report("churn", Rule.ERROR_RATE, Severity.INFO, f"look {n}"), range(40)))
    assert {alert.id for alert in seen} == {seen[0].id}
    assert sorted(alert.times for alert in seen) == list(range(1, 41))
    alerts.close()
