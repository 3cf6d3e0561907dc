"""Reports on SQLite and PostgreSQL: each revision stays, and the last one is what counts."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import text

from mlops_dagster.clock import ReplayedClock
from mlops_dagster.database import open_database, writing
from mlops_dagster.reports import HOUR, ReportKind, Reports

START = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Found:
    rows: int
    e_value: float
    days: tuple[datetime, ...] = ()


KIND = ReportKind("drift", HOUR, Found)
OTHER = ReportKind("validation", HOUR, Found)


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/mlops.sqlite" if request.param == "sqlite" else request.getfixturevalue("postgresql")


@pytest.fixture
def clock() -> ReplayedClock:
    return ReplayedClock(START)


@pytest.fixture
def reports(url: str, clock: ReplayedClock) -> Iterator[Reports]:
    store = Reports(url, clock)
    yield store
    store.close()


def test_a_report_made_again_keeps_the_one_before(reports: Reports, clock: ReplayedClock) -> None:
    first = reports.save(KIND, "churn", START, Found(3, float("inf"), (START,)), verdict="stable", champion="1.0.0")
    clock.advance_to(START + HOUR)
    again = reports.save(KIND, "churn", START, Found(4, 0.5), verdict="retrain", reason="PSI 0.4", champion="1.0.0")
    assert (first.revision, again.revision) == (1, 2)
    assert (first.content, first.made_at) == (Found(3, float("inf"), (START,)), START)
    assert list(reports.revisions(KIND, "churn", START)) == [first, again]
    assert list(reports.latest(KIND, "churn", START, START + HOUR)) == [again]
    assert list(reports.latest(KIND, "churn", START, START + HOUR, at=START)) == [first]
    assert list(reports.latest(KIND, "churn", START, START + HOUR, at=START - HOUR)) == []


def test_periods_are_read_in_order_by_model_and_kind(reports: Reports) -> None:
    hours = [START + number * HOUR for number in (10, 2, 0)]
    for hour in hours:
        reports.save(KIND, "churn", hour, Found(hour.hour, 1.0), verdict="stable")
    reports.save(OTHER, "churn", START, Found(7, 1.0), verdict="failed")
    reports.save(KIND, "fraud", START, Found(8, 1.0), verdict="stable")
    day = START, START + timedelta(days=1)
    assert [each.start for each in reports.latest(KIND, "churn", *day)] == sorted(hours)
    assert reports.made(KIND, "churn", *day) == set(hours)
    assert reports.made(KIND, "churn", START, START + HOUR) == {START}
    newest = reports.newest(KIND, "churn", *day)
    assert newest is not None
    assert newest.content.rows == 10
    assert reports.newest(KIND, "churn", START - HOUR, START) is None
    assert [(each.kind, each.content["rows"]) for each in reports.list("churn", last=3)] == [
        ("drift", 10),
        ("drift", 2),
        ("validation", 7),
    ]
    assert [each.content["rows"] for each in reports.list("churn", kind="validation")] == [7]


def test_a_report_that_cannot_be_read_hides_no_other(reports: Reports, url: str) -> None:
    reports.save(KIND, "churn", START, Found(1, 1.0), verdict="stable")
    good = reports.save(KIND, "churn", START + HOUR, Found(2, 1.0), verdict="stable")
    engine = open_database(url)
    with writing(engine) as connection:
        connection.execute(text("UPDATE reports SET body = '{\"rows\": true' WHERE id = 1"))
    engine.dispose()
    assert list(reports.latest(KIND, "churn", START, START + timedelta(days=1))) == [good]


def test_of_runs_that_make_one_at_once_each_has_its_revision(reports: Reports) -> None:
    with ThreadPoolExecutor(8) as pool:
        made = pool.map(lambda n: reports.save(KIND, "churn", START, Found(n, 1.0), verdict="stable"), range(24))
        assert sorted(each.revision for each in made) == list(range(1, 25))
