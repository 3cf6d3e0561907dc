"""The life of alerts on SQLite and PostgreSQL, whoever sees them and however often."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import pytest
from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

from mlops_dagster.alerting import (
    FLEET,
    Alert,
    AlertEvent,
    Alerts,
    Ending,
    News,
    Notice,
    Reading,
    Rule,
    Severity,
    Sighting,
)
from mlops_dagster.clock import ReplayedClock
from mlops_dagster.database import open_database
from mlops_dagster.errors import ConflictError, InvalidInputError, NotFoundError, StorageError
from mlops_dagster.retention import Kind, RetentionRecord

START = datetime(2026, 1, 1, tzinfo=UTC)
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
ACCURACY = Reading(90.2, 89.1, 91.2, samples=3104, limit=91, unit="%", counted="labels", window=DAY)


class Told:
    """An outbox that keeps what it is given, in order: kind, model and rule."""

    def __init__(self) -> None:
        self.events: list[tuple[str, str, str]] = []

    def __call__(self, connection: Connection, event: AlertEvent, alert: Alert | None) -> None:
        assert connection.in_transaction()
        assert alert is None or alert.id == event.alert_id
        self.events.append((event.kind.value, event.model, event.rule))

    def take(self) -> list[tuple[str, str, str]]:
        events, self.events = self.events, []
        return events


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/mlops.sqlite" if request.param == "sqlite" else request.getfixturevalue("postgresql")


@pytest.fixture
def clock() -> ReplayedClock:
    return ReplayedClock(START)


@pytest.fixture
def told() -> Told:
    return Told()


@pytest.fixture
def alerts(url: str, clock: ReplayedClock, told: Told) -> Iterator[Alerts]:
    store = Alerts(url, clock, name="staging", actor="tester", outbox=told, fleet_size=lambda: 20)
    yield store
    store.close()


def test_what_is_seen_again_is_the_same_alert(alerts: Alerts, clock: ReplayedClock) -> None:
    first = alerts.report(
        "churn", Rule.ACCURACY, Severity.WARNING, "90.2 %", version="2.4.1", reading=ACCURACY, since=START - HOUR
    )
    assert (first.key, first.reading, first.version, first.since) == (
        "mlops:staging:churn:accuracy",
        ACCURACY,
        "2.4.1",
        START - HOUR,
    )
    clock.advance_to(START + HOUR)
    again = alerts.report("churn", Rule.ACCURACY, Severity.CRITICAL, "80 %", since=START, evidence={"é": [1, None]})
    assert again.id == first.id
    assert (again.opened_at, again.last_seen_at, again.times) == (START, START + HOUR, 2)
    assert (again.severity, again.reading, again.since) == (Severity.CRITICAL, None, START - HOUR)
    assert alerts.list() == [again]
    assert alerts.list("other") == []
    other = alerts.report("churn", Rule.ACCURACY, Severity.WARNING, "90 %", subject="carrier=AA")
    assert (other.id, other.key) != (first.id, first.key)


def test_a_resolved_one_stays_and_the_next_is_another(alerts: Alerts, clock: ReplayedClock) -> None:
    first = alerts.report("churn", Rule.VALIDATION, Severity.CRITICAL, "9 % nulls", evidence={"é": [1, None]})
    assert alerts.resolve("churn", Rule.HEADLINE, "never broken") is None
    over = alerts.resolve("churn", Rule.VALIDATION, "the next hour passed")
    assert over is not None
    assert not over.open
    assert (over.id, over.resolved_at, over.evidence) == (first.id, START, {"é": [1, None]})
    assert alerts.resolve("churn", Rule.VALIDATION, "again") is None
    second = alerts.report("churn", Rule.VALIDATION, Severity.CRITICAL, "4 % nulls")
    assert (second.id != first.id, first.flaps, second.flaps) == (True, 0, 1)
    assert alerts.list("churn") == [second]
    assert alerts.list("churn", resolved=True) == [over, second]
    clock.advance_to(START + 8 * DAY)
    alerts.resolve("churn", Rule.VALIDATION, "passed")
    assert alerts.report("churn", Rule.VALIDATION, Severity.CRITICAL, "5 % nulls").flaps == 0


def test_of_many_who_see_it_at_once_one_opens_it_and_of_many_who_follow_an_event_one_tells_it(alerts: Alerts) -> None:
    news = [News("churn", Notice.STEP, "2.0.0 is shadow", "2.0.0")]
    with ThreadPoolExecutor(8) as pool:
        seen = list(pool.map(lambda n: alerts.report("churn", Rule.PSI, Severity.INFO, f"look {n}"), range(24)))
        followed = list(pool.map(lambda _: alerts.follow("registry", 7, news, at=START, actor="ada"), range(8)))
    assert {alert.id for alert in seen} == {seen[0].id}
    assert sorted(alert.times for alert in seen) == list(range(1, 25))
    assert (sorted(followed), alerts.followed("registry")) == ([False] * 7 + [True], 7)
    assert [(each.rule, each.actor) for each in alerts.events()] == [("psi", "tester"), ("step", "ada")]
    alerts.follow("registry", 8, [Ending("churn", Rule.PSI, "over")], at=START, actor="ada")
    assert alerts.list() == []


def test_the_events_say_what_an_alert_said_at_any_time_and_nobody_changes_them(
    alerts: Alerts, clock: ReplayedClock, url: str
) -> None:
    for minutes, severity, summary in (
        (0, "warning", "a"),
        (30, "warning", "b"),
        (50, "critical", "c"),
        (110, "critical", "d"),
    ):
        clock.advance_to(START + minutes * MINUTE)
        alerts.report("churn", Rule.ACCURACY, Severity(severity), summary, reading=ACCURACY)
    clock.advance_to(START + 2 * HOUR)
    alerts.acknowledge(1, "on it", "ada")
    clock.advance_to(START + 3 * HOUR)
    alerts.resolve("churn", Rule.ACCURACY, "91.9 %")
    said = [(each.kind.value, each.actor, each.summary) for each in alerts.events("churn")]
    assert said == [
        ("opened", "tester", "a"),
        ("escalated", "tester", "c"),
        ("seen", "tester", "d"),
        ("acknowledged", "ada", "on it"),
        ("resolved", "tester", "91.9 %"),
    ]
    then = {minutes: alerts.as_of(START + minutes * MINUTE) for minutes in (-1, 0, 49, 50, 119, 120, 180)}
    assert [[alert.summary for alert in found] for found in then.values()] == [
        [],
        ["a"],
        ["a"],
        ["c"],
        ["d"],
        ["d"],
        [],
    ]
    assert then[120][0].acknowledged is not None
    assert then[120][0].reading == ACCURACY
    assert [each.kind.value for each in alerts.events(since=START + MINUTE, until=START + 2 * HOUR)] == [
        "escalated",
        "seen",
    ]
    engine = open_database(url)
    for change in ("UPDATE alert_events SET summary = ''", "DELETE FROM alert_events"):
        with engine.connect() as connection, pytest.raises(DBAPIError, match="alert_events are append-only"):
            connection.execute(text(change))
    engine.dispose()


def test_events_go_only_after_it_was_said_that_they_are_not_kept(
    alerts: Alerts, url: str, clock: ReplayedClock
) -> None:
    for _ in range(3):
        alerts.report("churn", Rule.ACCURACY, Severity.WARNING, "90.2 %")
        clock.advance_to(clock.now() + 2 * HOUR)
    alerts.resolve("churn", Rule.ACCURACY, "91.9 %")
    lasting = alerts.report("churn", Rule.PSI, Severity.WARNING, "0.2")
    for _ in range(3):
        clock.advance_to(clock.now() + 2 * HOUR)
        alerts.report("churn", Rule.PSI, Severity.WARNING, "0.2")
    record, before = RetentionRecord(url), clock.now() - HOUR
    forget = partial(alerts.forget, "churn", resolved_before=before, seen_before=before)
    assert forget(dry_run=True) == 1 + 4 + 1  # the alert that is over with its events; a sighting that another followed
    for since in ({}, {Kind.MINUTE_COUNTS: before}, {Kind.ALERTS: before - DAY}):
        record.raise_to({"churn": since, "another": {Kind.ALERTS: before}})
        with pytest.raises((DBAPIError, StorageError), match="append-only"):
            forget()
    standing = alerts.as_of(before)
    record.raise_to({"churn": {Kind.ALERTS: before}})
    record.raise_to({"churn": {Kind.ALERTS: before - DAY}})  # what is gone does not come back
    assert forget() == 6
    assert alerts.as_of(before) == standing
    assert [each.kind.value for each in alerts.events(alert_id=lasting.id)] == ["opened", "seen", "seen"]
    record.close()


def test_a_past_that_was_told_stays_though_a_clock_goes_back(alerts: Alerts, url: str) -> None:
    alerts.report("churn", Rule.PSI, Severity.WARNING, "0.2")
    late = Alerts(url, ReplayedClock(START - DAY))
    late.resolve("churn", Rule.PSI, "stable")
    assert [alert.rule for alert in alerts.as_of(START - HOUR)] == []
    assert [each.at for each in alerts.events()] == [START, START]
    ahead = Alerts(url, ReplayedClock(datetime(2999, 1, 1, tzinfo=UTC)))
    assert ahead.report("fraud", Rule.PSI, Severity.WARNING, "0.2").opened_at < datetime.now(UTC)
    late.close()
    ahead.close()


def test_an_acknowledgement_ends_when_a_warning_becomes_critical(alerts: Alerts, told: Told) -> None:
    alert = alerts.report("churn", Rule.ACCURACY, Severity.WARNING, "92 %")
    alerts.acknowledge(alert.id, "on it", "ada")
    assert alerts.report("churn", Rule.ACCURACY, Severity.WARNING, "92 %").acknowledged is not None
    assert alerts.report("churn", Rule.ACCURACY, Severity.CRITICAL, "89 %").acknowledged is None
    alerts.acknowledge(alert.id, "still", "ada")
    assert alerts.report("churn", Rule.ACCURACY, Severity.WARNING, "92 %").acknowledged is not None
    assert [kind for kind, *_ in told.take()] == ["opened", "acknowledged", "escalated", "acknowledged", "eased"]
    alerts.resolve("churn", Rule.ACCURACY, "94 %")
    with pytest.raises(ConflictError, match="is resolved: 94 %"):
        alerts.acknowledge(alert.id, "late")
    with pytest.raises(NotFoundError):
        alerts.acknowledge(99, "nothing")


def test_a_silence_ends_by_itself_and_what_is_open_is_told_then_once(
    alerts: Alerts, clock: ReplayedClock, told: Told
) -> None:
    silence = alerts.silence(START + 2 * HOUR, "moving", model="ch*", severity="warning", version="2.*")
    for version in ("2.0.0", None):
        alerts.report("churn", Rule.PSI, Severity.WARNING, "0.2", subject=str(version), version=version)
    alerts.report("churn", Rule.KS, Severity.CRITICAL, "0.2", version="2.0.0")
    assert [alert.muted_by for alert in alerts.list()] == [silence.name, None, None]
    assert told.take() == [("opened", "churn", "psi"), ("opened", "churn", "ks")]
    alerts.report("churn", Rule.NULL_RATE, Severity.WARNING, "3 %", version="2.0.0")
    alerts.resolve("churn", Rule.NULL_RATE, "0 %")
    assert told.take() == [], "nobody is told the end of an alert that nobody was told of"
    clock.advance_to(START + 2 * HOUR)
    assert alerts.silences() == []
    for _ in range(3):
        alerts.update_mutes()
    assert told.take() == [("unmuted", "churn", "psi")]
    for end in (START, START + 33 * DAY):
        with pytest.raises(InvalidInputError, match="within 30 days"):
            alerts.silence(end, "for ever")


def test_a_cause_is_told_for_its_effects_and_a_rollback_ends_those_of_its_version(alerts: Alerts, told: Told) -> None:
    alerts.report("churn", Rule.P99_MS, Severity.WARNING, "300 ms", version="2.4.1")
    alerts.report("churn", Rule.ACCURACY, Severity.CRITICAL, "89 %", version="2.4.0")
    alerts.report("fraud", Rule.P99_MS, Severity.WARNING, "300 ms", version="2.4.1")
    told.take()
    alerts.report("churn", Rule.ROLLED_BACK, Severity.CRITICAL, "slow", subject="2.4.1", version="2.4.1")
    assert told.take() == [
        ("opened", "churn", "rolled_back"),
        ("resolved", "churn", "p99_ms"),
        ("acted", "churn", "accuracy"),
    ]
    alerts.report("churn", Rule.HELD, Severity.WARNING, "503")
    alerts.report("churn", Rule.NO_TRAFFIC, Severity.WARNING, "0 requests")
    assert {alert.rule: alert.muted_by for alert in alerts.list("churn")} == {
        "accuracy": "held",
        "rolled_back": None,
        "held": None,
        "no_traffic": "held",
    }
    told.take()
    alerts.resolve("churn", Rule.HELD, "released")
    assert told.take() == [
        ("resolved", "churn", "held"),
        ("unmuted", "churn", "accuracy"),
        ("unmuted", "churn", "no_traffic"),
    ]


def test_a_storm_over_the_fleet_is_one_alert(alerts: Alerts, clock: ReplayedClock, told: Told) -> None:
    for number in range(4):
        alerts.report(f"m{number}", Rule.PSI, Severity.WARNING, "0.2")
    clock.advance_to(START + 5 * MINUTE)
    alerts.report("m4", Rule.PSI, Severity.WARNING, "0.2")
    assert [alert.model for alert in alerts.list(FLEET)] == [], "the first four opened too long ago"
    told.take()
    for number in range(5, 9):
        alerts.report(f"m{number}", Rule.PSI, Severity.CRITICAL if number == 8 else Severity.WARNING, "0.2")
    (storm,) = alerts.list(FLEET)
    assert (storm.severity, storm.rule) == (Severity.CRITICAL, "psi")
    assert storm.summary == "psi is open for 9 models: m0, m1, m2, m3, m4 and 4 more"
    assert {alert.muted_by for alert in alerts.list() if alert.model != FLEET} == {"fleet psi"}
    assert told.take() == [
        *[("opened", f"m{number}", "psi") for number in (5, 6, 7)],
        ("opened", FLEET, "psi"),
        *[("muted", f"m{number}", "psi") for number in range(8)],  # m8 was never told
    ]
    alerts.report("m9", Rule.PSI, Severity.WARNING, "0.2")
    assert told.take() == []
    for number in range(6):
        alerts.resolve(f"m{number}", Rule.PSI, "stable")
    assert alerts.list(FLEET) == []
    assert told.take()[-5:] == [("resolved", FLEET, "psi"), *[("unmuted", f"m{each}", "psi") for each in (6, 7, 8, 9)]]


def test_a_row_that_cannot_be_read_hides_no_other_and_the_next_sighting_opens_anew(alerts: Alerts, url: str) -> None:
    broken = alerts.report("churn", Rule.PSI, Severity.WARNING, "0.2")
    fine = alerts.report("churn", Rule.KS, Severity.WARNING, "0.2")
    engine = open_database(url)
    with engine.connect() as connection:
        connection.execute(text("UPDATE alerts SET evidence = '{' WHERE rule = 'psi'"))
        connection.commit()
    engine.dispose()
    assert alerts.list() == [fine]
    assert alerts.report("churn", Rule.PSI, Severity.WARNING, "0.3").id not in (broken.id, fine.id)


def test_steps_of_another_store_are_sightings_too(alerts: Alerts) -> None:
    sighting = Sighting("churn", Rule.HELD, "", Severity.WARNING, "503", since=START)
    alerts.follow("registry", 1, [sighting, sighting], at=START, actor="ada")
    (alert,) = alerts.list()
    assert (alert.times, alert.since) == (2, START)
