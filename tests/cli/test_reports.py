"""`mlops reports`: what was found about a model, as it stands and as it stood."""

import json
from datetime import timedelta

from mlops_dagster.clock import ReplayedClock
from mlops_dagster.loop.judging.findings import VALIDATION, ValidatedHour
from mlops_dagster.registry import ModelRegistry
from mlops_dagster.settings import Settings
from mlops_dagster.stores import Stores
from tests.support.program import START, Mlops

LATER = START + timedelta(hours=3)


def test_reports_are_listed_and_shown_as_they_stood(fleet: ModelRegistry, mlops: Mlops) -> None:
    clock = ReplayedClock(START)
    reports = Stores(Settings(), clock).reports
    for number in range(3):
        hour = START + timedelta(hours=number)
        reports.save(VALIDATION, "churn", hour, ValidatedHour(rows=10 + number), verdict="passed", champion="1.0.0")
    clock.advance_to(LATER)
    failed = ValidatedHour(rows=12, failures=("9 % nulls in age",))
    reports.save(VALIDATION, "churn", hour, failed, verdict="failed", reason="9 % nulls in age", champion="1.0.0")
    _header, _rule, *rows = (" ".join(line.split()) for line in mlops("reports", "list", "churn").stdout.splitlines())
    assert rows[0] == ("2026-01-01 02:00 validation failed 1.0.0 2 2026-01-01 03:00 9 % nulls in age")
    assert len(rows) == 3
    listed = json.loads(mlops("reports", "list", "churn", "--last", "1", "--at", START.isoformat(), "--json").stdout)
    assert [(each["verdict"], each["revision"]) for each in listed] == [("passed", 1)]
    shown = json.loads(mlops("reports", "show", "churn", "--kind", "validation", "--json").stdout)
    assert (shown["verdict"], shown["content"]["failures"]) == ("failed", ["9 % nulls in age"])
    first = mlops("reports", "show", "churn", "--kind", "validation", "--start", START.isoformat()).stdout
    assert '"rows": 10' in first


def test_a_report_that_there_is_not_says_what_there_is(fleet: ModelRegistry, mlops: Mlops) -> None:
    found = mlops("reports", "show", "churn")
    assert (found.exit_code, "`mlops reports list churn`" in found.stderr) == (1, True)
    assert mlops("reports", "list", "churn", "--at", "yesterday").exit_code == 2
    assert mlops("reports", "list", "chrun").stdout == "there are no reports of chrun\n"
