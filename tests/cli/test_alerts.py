"""`mlops alerts`: what is wrong, and what was done about it."""

import json

from mlops_dagster.alerting import Severity
from mlops_dagster.clock import ReplayedClock
from mlops_dagster.registry import ModelRegistry
from mlops_dagster.settings import Settings
from mlops_dagster.stores import Stores
from tests.support.program import START, Mlops


def test_open_alerts_are_listed_and_those_that_are_over_on_demand(fleet: ModelRegistry, mlops: Mlops) -> None:
    alerts = Stores(Settings(), ReplayedClock(START)).alerts
    alerts.report("churn", "macro_f1", Severity.CRITICAL, "macro-F1 0.80, floor 0.83", done="rolled back to 1.0.0")
    alerts.report("churn", "validation", Severity.WARNING, "9 % nulls in age")
    alerts.resolve("churn", "validation", "the next hour passed")
    _header, _rule, row = (" ".join(line.split()) for line in mlops("alerts").stdout.strip().splitlines())
    assert row == ("critical churn macro_f1 2026-01-01 00:00 1 - macro-F1 0.80, floor 0.83; rolled back to 1.0.0")
    assert mlops("alerts").stderr.strip() == "what to do: runbooks/macro_f1 in the documentation"
    everything = json.loads(mlops("alerts", "churn", "--all", "--json").stdout)
    assert everything[0]["runbook"] == "runbooks/macro_f1"
    assert [(each["rule"], each["resolution"]) for each in everything] == [
        ("macro_f1", ""),
        ("validation", "the next hour passed"),
    ]


def test_a_person_resolves_an_alert_and_says_why(fleet: ModelRegistry, mlops: Mlops) -> None:
    alerts = Stores(Settings(), ReplayedClock(START)).alerts
    alerts.report("churn", "validation", Severity.CRITICAL, "2 of 3 batches failed their validation")
    wrong = mlops("alerts", "churn", "--resolve", "validatoin", "--reason", "the source is gone for good")
    assert (wrong.exit_code, "open are ['validation']" in wrong.stderr) == (1, True)
    for incomplete in (["churn", "--resolve", "validation"], ["--resolve", "validation", "--reason", "x"]):
        assert mlops("alerts", *incomplete).exit_code == 2
    assert len(alerts.list("churn")) == 1
    assert mlops("alerts", "churn", "--resolve", "validation", "--reason", "the source is gone for good").exit_code == 0
    (alert,) = alerts.list("churn", resolved=True)
    assert (alert.open, alert.resolution) == (False, "the source is gone for good (ada, by hand)")
