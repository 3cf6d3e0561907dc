"""Any order of sightings, ends, acknowledgements, silences and time: the alerts are those of a simple model of them."""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test
from sqlalchemy import Connection

from mlops_dagster.alerting import Alert, AlertEvent, Alerts, EventKind, Rule, Severity
from mlops_dagster.clock import ReplayedClock

START = datetime(2026, 1, 1, tzinfo=UTC)
RULES = (Rule.HELD, Rule.ACCURACY, Rule.PSI)
EXAMPLES = itertools.count()


@dataclass
class Expected:
    """An open alert, as the model of it says."""

    severity: Severity
    number: int
    acknowledged: bool = False


@dataclass
class World:
    alerts: Alerts
    clock: ReplayedClock
    told: list[tuple[AlertEvent, Alert]]


@dataclass
class Silenced:
    number: int
    rule: Rule
    end: datetime


class Life(RuleBasedStateMachine):
    """One model's alerts in a database that all examples share, each with a model of its own name."""

    world: World

    def __init__(self) -> None:
        super().__init__()
        self.name = f"m{next(EXAMPLES)}"
        self.open: dict[Rule, Expected] = {}
        self.silences: list[Silenced] = []
        self.past: list[tuple[datetime, list[Alert]]] = []
        self.world.told.clear()

    @property
    def now(self) -> datetime:
        return self.world.clock.now()

    @rule(rule=st.sampled_from(RULES), severity=st.sampled_from([Severity.WARNING, Severity.CRITICAL]))
    def report(self, rule: Rule, severity: Severity) -> None:
        number = self.world.alerts.report(self.name, rule, severity, "seen").id
        before = self.open.get(rule)
        assert before is None or before.number == number
        worse = before is not None and before.severity is Severity.WARNING and severity is Severity.CRITICAL
        kept = before is not None and before.acknowledged and not worse
        self.open[rule] = Expected(severity, number, kept)

    @rule(rule=st.sampled_from(RULES))
    def resolve(self, rule: Rule) -> None:
        over = self.world.alerts.resolve(self.name, rule, "over")
        before = self.open.pop(rule, None)
        assert (over and over.id) == (before and before.number)

    @precondition(lambda self: self.open)
    @rule(data=st.data())
    def acknowledge(self, data: st.DataObject) -> None:
        expected = self.open[data.draw(st.sampled_from(sorted(self.open)))]
        self.world.alerts.acknowledge(expected.number, "on it")
        expected.acknowledged = True

    @rule(rule=st.sampled_from(RULES), hours=st.integers(1, 5))
    def silence(self, rule: Rule, hours: int) -> None:
        end = self.now + timedelta(hours=hours)
        made = self.world.alerts.silence(end, "quiet", model=self.name, rule=rule)
        self.silences.append(Silenced(made.id, rule, end))

    @precondition(lambda self: any(each.end > self.now for each in self.silences))
    @rule(data=st.data())
    def end_silence(self, data: st.DataObject) -> None:
        active = [each for each in self.silences if each.end > self.now]
        ended = data.draw(st.sampled_from(active))
        self.world.alerts.end_silence(ended.number, "done")
        ended.end = self.now

    @rule(minutes=st.integers(1, 180))
    def wait(self, minutes: int) -> None:
        self.past.append((self.now, list(self.world.alerts.as_of(self.now))))
        self.world.clock.advance_to(self.now + timedelta(minutes=minutes))
        self.world.alerts.update_mutes()

    @invariant()
    def the_open_alerts_are_those_expected(self) -> None:
        found = {Rule(alert.rule): alert for alert in self.world.alerts.list(self.name)}
        assert {rule: (alert.id, alert.severity, alert.acknowledged is not None) for rule, alert in found.items()} == {
            rule: (its.number, its.severity, its.acknowledged) for rule, its in self.open.items()
        }
        assert {rule: alert.muted_by is not None for rule, alert in found.items()} == {
            rule: self._is_muted(rule) for rule in self.open
        }

    @invariant()
    def the_events_lead_to_what_is_open(self) -> None:
        then = [alert for alert in self.world.alerts.as_of(self.now) if alert.model == self.name]
        assert [_said(alert) for alert in then] == [_said(alert) for alert in self.world.alerts.list(self.name)]

    @invariant()
    def what_is_open_is_told_unless_it_is_muted_and_no_end_of_what_was_not(self) -> None:
        heard: dict[int, bool] = {}
        for event, alert in self.world.told:
            if event.kind is EventKind.RESOLVED:
                assert alert.id in heard
                del heard[alert.id]
            elif event.kind is EventKind.MUTED:
                assert alert.id in heard
                assert alert.muted_by is not None
                heard[alert.id] = False
            else:
                assert alert.muted_by is None
                heard[alert.id] = True
        shown = {rule: heard.get(its.number, False) for rule, its in self.open.items()}
        assert shown == {rule: not self._is_muted(rule) for rule in self.open}

    def teardown(self) -> None:
        for at, then in self.past:
            assert list(self.world.alerts.as_of(at)) == then
        for each in list(self.open):
            self.world.alerts.resolve(self.name, each, "end of the example")

    def _is_muted(self, rule: Rule) -> bool:
        silent = any(each.rule is rule and each.end > self.now for each in self.silences)
        return silent or (rule is Rule.ACCURACY and Rule.HELD in self.open)


def _said(alert: Alert) -> Alert:
    """The alert without the sightings that are recorded once an hour only."""
    return replace(alert, times=0, last_seen_at=START, told=False)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    clock, told = ReplayedClock(START), list[tuple[AlertEvent, Alert]]()

    def outbox(_connection: Connection, event: AlertEvent, alert: Alert | None) -> None:
        assert alert is not None
        told.append((event, alert))

    alerts = Alerts(f"sqlite:///{tmp_path}/mlops.sqlite", clock, outbox=outbox)
    yield World(alerts, clock, told)
    alerts.close()


def test_any_life(world: World) -> None:
    Life.world = world
    run_state_machine_as_test(Life, settings=settings(max_examples=20, stateful_step_count=15, deadline=None))
