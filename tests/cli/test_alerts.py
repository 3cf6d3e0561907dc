"""`mlops alerts`: what is wrong, what was done about it, and who is told."""

import json
from datetime import timedelta

import pytest

from mlops_dagster.alerting import Alerts, Reading, Rule, Severity
from mlops_dagster.clock import ReplayedClock
from mlops_dagster.registry import ModelRegistry
from mlops_dagster.settings import Settings
from mlops_dagster.stores import Stores
from tests.support.program import START, Mlops


@pytest.fixture
def alerts(fleet: ModelRegistry) -> Alerts:
    return Stores(Settings(), ReplayedClock(START)).alerts


def test_open_alerts_are_listed_and_those_that_are_over_on_demand(alerts: Alerts, mlops: Mlops) -> None:
    alerts.report("churn", Rule.HEADLINE, Severity.CRITICAL, "macro-F1 0.80, floor 0.83", done="rolled back to 1.0.0")
    alerts.report("churn", Rule.VALIDATION, Severity.WARNING, "9 % nulls in age")
    alerts.resolve("churn", Rule.VALIDATION, "the next hour passed")
    listed = mlops("alerts", "list")
    _header, _rule, row = (" ".join(line.split()) for line in listed.stdout.strip().splitlines())
    assert row == "1 critical churn headline 2026-01-01 00:00 1 firing macro-F1 0.80, floor 0.83; rolled back to 1.0.0"
    assert listed.stderr.strip() == "what to do: runbooks/headline in the documentation"
    everything = json.loads(mlops("alerts", "list", "churn", "--all", "--json").stdout)
    assert everything[0]["runbook"] == "runbooks/headline"
    assert [(each["rule"], each["resolution"]) for each in everything] == [
        ("headline", ""),
        ("validation", "the next hour passed"),
    ]


def test_what_was_open_at_a_time_is_listed_as_it_was_then(alerts: Alerts, mlops: Mlops) -> None:
    alerts.report("churn", Rule.VALIDATION, Severity.WARNING, "9 % nulls in age")
    mlops("alerts", "resolve", "1", "--reason", "mended")
    assert json.loads(mlops("alerts", "list", "--json").stdout) == []
    (then,) = json.loads(mlops("alerts", "list", "churn", "--at", "2026-01-01T00:00Z", "--json").stdout)
    assert (then["id"], then["resolved_at"], then["summary"]) == (1, None, "9 % nulls in age")
    assert json.loads(mlops("alerts", "list", "other", "--at", "2026-01-01T00:00Z", "--json").stdout) == []


def test_a_person_acknowledges_and_resolves_an_alert_and_says_why(alerts: Alerts, mlops: Mlops) -> None:
    reading = Reading(9.0, 8.2, 9.9, 3104, 0.5, "%", "rows")
    alerts.report("churn", Rule.VALIDATION, Severity.CRITICAL, "9 % nulls", version="1.0.0", reading=reading)
    assert mlops("alerts", "ack", "1").exit_code == 2
    unknown = mlops("alerts", "ack", "2", "--reason", "x")
    assert (unknown.exit_code, "there is no alert 2" in unknown.stderr) == (1, True)
    assert json.loads(mlops("alerts", "ack", "1", "--reason", "on it", "--json").stdout)["acknowledged"]["by"] == "ada"
    shown = " ".join(mlops("alerts", "show", "1").stdout.split())
    for fact in ("acknowledged by ada: on it", "9 %, 8.2 to 9.9, 3,104 rows, limit 0.5", "version 1.0.0"):
        assert fact in shown
    assert mlops("alerts", "resolve", "1", "--reason", "the source is gone for good").exit_code == 0
    assert alerts.get(1).resolution == "the source is gone for good (ada, by hand)"
    assert "conflict" in mlops("alerts", "resolve", "1", "--reason", "again").stderr
    events = json.loads(mlops("alerts", "show", "1", "--json").stdout)["events"]
    assert [each["kind"] for each in events] == ["opened", "acknowledged", "resolved"]
    assert {each["actor"] for each in events[1:]} == {"ada"}


def test_a_silence_mutes_until_it_ends(alerts: Alerts, mlops: Mlops) -> None:
    alerts.report("churn", Rule.PSI, Severity.WARNING, "PSI 0.2")
    assert mlops("alerts", "silence", "churn", "--hours", "721", "--reason", "x").exit_code == 2
    silenced = json.loads(
        mlops("alerts", "silence", "ch*", "--rule", "psi", "--hours", "2", "--reason", "moving", "--json").stdout
    )
    assert (silenced["model"], silenced["rule"], silenced["version"], silenced["actor"]) == ("ch*", "psi", "*", "ada")
    assert alerts.get(1).muted_by == "silence 1"
    assert "muted (silence 1)" in mlops("alerts", "list").stdout
    assert [each["id"] for each in json.loads(mlops("alerts", "silences", "--json").stdout)] == [1]
    assert mlops("alerts", "unsilence", "1", "--reason", "moved").exit_code == 0
    assert (alerts.get(1).muted_by, alerts.silences(START + timedelta(days=999))) == (None, [])
    assert mlops("alerts", "unsilence", "1", "--reason", "again").exit_code == 1
