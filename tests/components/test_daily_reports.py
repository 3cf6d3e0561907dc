"""Which daily report was in force at a time."""

from datetime import UTC, date, datetime, timedelta

import pytest

from mlops_dagster.components.views.daily_reports import DailyReport, in_force

MARCH = datetime(2013, 3, 1, tzinfo=UTC)


def made(day: int, hours: float, name: str) -> DailyReport:
    """That of a day of March, so many hours after the first of March began."""
    return DailyReport(date(2013, 3, day), MARCH + timedelta(hours=hours), {"name": name})


REPORTS = [
    made(2, 100, "2nd, late"),
    made(1, 60, "1st, again"),
    made(2, 60, "2nd"),
    made(1, 36, "1st"),
]


@pytest.mark.parametrize(
    ("hours", "expected"),
    [
        (35.9, None),  # that of the 1st is not made yet
        (36, "1st"),
        (59.9, "1st"),
        (60, "2nd"),  # the newer day, whatever was made again
        (99.9, "2nd"),
        (100, "2nd, late"),
        (119.9, "2nd, late"),
        (120, None),  # the 2nd was over three days ago
    ],
)
def test_what_is_in_force_is_never_of_the_future(hours: float, expected: str | None) -> None:
    for reports in (REPORTS, REPORTS[::-1]):
        said = in_force(reports, MARCH + timedelta(hours=hours))
        assert (said and said["name"]) == expected
    early = [made(3, 10, "made before its day was over")]
    assert in_force(early, MARCH + timedelta(hours=60)) is None
