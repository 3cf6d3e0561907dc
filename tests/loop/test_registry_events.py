"""Whatever changes the registry, its events become alerts and news once; and the alerts end when their cause does."""

import re
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest

from mlops_dagster.alerting import FLEET, EventKind, Rule, Severity
from mlops_dagster.clock import ReplayedClock
from mlops_dagster.errors import AuditError
from mlops_dagster.loop.registry_events.follow import follow_registry
from mlops_dagster.loop.registry_events.settle import TOLD_FIRST, settle_registry_alerts
from mlops_dagster.loop.registry_events.verify import verify_history, verify_in_turn
from mlops_dagster.registry import Stage
from mlops_dagster.settings import Settings
from mlops_dagster.stores import Stores
from tests.support.rollout_world import MODEL, START, World


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    world = World(tmp_path)
    world.champion()
    yield world
    world.close()


@pytest.fixture
def stores(world: World) -> Stores:
    return Stores(world.settings, world.clock, actor="dagster")


def feed(stores: Stores) -> list[tuple[str, str, str | None]]:
    """Follow the registry, and return kind, rule and version of the events that were written."""
    before = len(stores.alerts.events())
    follow_registry(stores)
    return [(each.kind.value, each.rule, each.version) for each in stores.alerts.events()[before:]]


def test_a_rollout_from_step_to_rollback_is_told(world: World, stores: Stores) -> None:
    assert feed(stores) == [("info", "promoted", "1.0.0")]
    version = world.register("1.1.0")
    registry = world.registry
    registry.transition(version, Stage.SHADOW, reason="its rollout begins")
    registry.transition(version, Stage.CANARY, weight=0.2, reason="as good")
    registry.note(version, "paused", reason="the desk is closed")
    registry.note(version, "resumed", reason="the desk is open")
    registry.set_canary_weight(MODEL, 0.5, reason="better", expected_epoch=registry.deployment(MODEL).epoch)
    assert [rule for _kind, rule, _version in feed(stores)] == ["step", "step", "paused", "resumed", "step"]
    registry.transition(version, Stage.PRODUCTION, reason="better", watched=True)
    assert feed(stores) == [("info", "promoted", "1.1.0")]
    world.clock.advance_to(START + timedelta(hours=3))
    registry.rollback(MODEL, reason="a third of the answers are wrong", bad="1.1.0", evidence={"decision": 7})
    assert feed(stores) == [("opened", "rolled_back", "1.1.0"), ("info", "rollback", "1.1.0")]
    assert feed(stores) == []
    (alert,) = stores.alerts.list()
    assert (alert.severity, alert.subject, alert.opened_at) == (Severity.CRITICAL, "1.1.0", world.clock.now())
    assert alert.summary == "1.1.0 was found bad as Production: a third of the answers are wrong"
    assert alert.done == "taken out by test; 1.0.0 answers"
    assert alert.evidence["decision"] == 7
    assert stores.alerts.events()[-2].actor == "test"


def test_a_version_that_is_given_up_or_found_bad_as_shadow_wakes_nobody(world: World, stores: Stores) -> None:
    for name in ("1.1.0", "1.2.0"):
        world.registry.transition(world.register(name), Stage.SHADOW, reason="its rollout begins")
    feed(stores)
    world.registry.transition(
        world.registry.get(MODEL, "1.1.0"), Stage.REGISTERED, reason="no evidence by the deadline"
    )
    world.registry.withdraw(world.registry.get(MODEL, "1.2.0"), reason="it fails")
    assert feed(stores) == [
        ("info", "given_up", "1.1.0"),
        ("opened", "rolled_back", "1.2.0"),
        ("info", "rollback", "1.2.0"),
    ]
    assert [alert.severity for alert in stores.alerts.list()] == [Severity.WARNING]


def test_a_rollback_is_over_when_no_worker_is_behind_and_it_was_told(world: World, stores: Stores) -> None:
    registry = world.registry
    registry.transition(world.register("1.1.0"), Stage.PRODUCTION, reason="better")
    bad_epoch = registry.deployment(MODEL).epoch
    for worker in ("worker-0", "worker-1"):
        registry.beat(worker)
        registry.acknowledge(MODEL, worker, bad_epoch)
    epoch = registry.rollback(MODEL, reason="wrong").epoch
    registry.acknowledge(MODEL, "worker-0", epoch)
    feed(stores)
    done = r"taken out by test; 1\.0\.0 answers; in force after \d\.\d s, 1 of 2 workers"
    assert re.fullmatch(done, stores.alerts.list()[0].done)
    world.clock.advance_to(START + TOLD_FIRST)
    settle_registry_alerts(stores)
    assert [alert.rule for alert in stores.alerts.list()] == ["rolled_back"], "worker-1 is behind"
    registry.acknowledge(MODEL, "worker-1", epoch)
    settle_registry_alerts(stores)
    (alert,) = stores.alerts.list(resolved=True)
    assert alert.resolution == f"1.1.0 has no traffic: 2 of 2 workers at epoch {epoch}"


def test_a_rollback_is_not_over_before_a_channel_can_have_told_it(world: World, stores: Stores) -> None:
    world.registry.transition(world.register("1.1.0"), Stage.PRODUCTION, reason="better")
    world.registry.rollback(MODEL, reason="wrong")
    feed(stores)
    settle_registry_alerts(stores)
    assert len(stores.alerts.list()) == 1


def test_what_explains_a_rollback_is_over_after_it(world: World, stores: Stores) -> None:
    world.registry.transition(world.register("1.1.0"), Stage.SHADOW, reason="its rollout begins")
    stores.alerts.report(MODEL, Rule.VERSION_REFUSED, Severity.WARNING, "no memory", subject="1.1.0", version="1.1.0")
    world.clock.advance_to(START + timedelta(seconds=2))
    world.registry.withdraw(world.registry.get(MODEL, "1.1.0"), reason="not loadable")
    feed(stores)
    for later in (TOLD_FIRST, TOLD_FIRST + timedelta(seconds=2)):
        world.clock.advance_to(START + later)
        settle_registry_alerts(stores)
        assert len(stores.alerts.list()) == (2 if later == TOLD_FIRST else 0)
    kinds = [each.kind.value for each in stores.alerts.events() if each.alert_id is not None]
    assert kinds == ["opened", "opened", "muted", "resolved", "resolved"]


def test_a_hold_and_a_version_that_is_not_loaded_are_alerts_until_they_end(world: World, stores: Stores) -> None:
    registry = world.registry
    feed(stores)
    registry.hold(MODEL, "the feed is broken")
    registry.note_not_loaded(MODEL, "1.0.0", why="no memory")
    assert feed(stores) == [("opened", "held", "1.0.0"), ("opened", "not_loaded", "1.0.0")]
    assert [alert.severity for alert in stores.alerts.list()] == [Severity.WARNING, Severity.CRITICAL]
    registry.release(MODEL, "mended")
    assert feed(stores) == [("resolved", "held", "1.0.0")]
    registry.beat("worker-0")
    settle_registry_alerts(stores)
    assert [alert.rule for alert in stores.alerts.list()] == ["not_loaded"]
    registry.acknowledge(MODEL, "worker-0", registry.deployment(MODEL).epoch)
    settle_registry_alerts(stores)
    assert stores.alerts.list() == []


def test_a_history_that_was_changed_opens_an_alert_until_it_verifies(
    stores: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_registry: object) -> None:
        raise AuditError("event 3 is not as it was written")

    with monkeypatch.context() as patched:
        patched.setattr(type(stores.registry), "audit", broken)
        with pytest.raises(AuditError):
            verify_history(stores)
    (alert,) = stores.alerts.list(FLEET)
    assert (alert.rule, alert.severity) == (Rule.AUDIT_BROKEN, Severity.CRITICAL)
    verify_history(stores)
    assert stores.alerts.list() == []


def test_the_audit_comes_every_six_hours_however_often_its_process_is_restarted(
    world: World, stores: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    audits: list[datetime] = []

    def audit(_registry: object) -> SimpleNamespace:
        audits.append(world.clock.now())
        return SimpleNamespace(events=1)

    with monkeypatch.context() as patched:
        patched.setattr(type(stores.registry), "audit", audit)
        for hours in (0, 1, 5.9, 6, 7, 13):
            world.clock.advance_to(START + timedelta(hours=hours))
            verify_in_turn(Stores(world.settings, world.clock, actor="data plane"), timedelta(hours=6))
    assert audits == [START + timedelta(hours=hours) for hours in (0, 6, 13)]


def test_two_processes_tell_an_event_once(world: World, stores: Stores) -> None:
    other = Stores(Settings(home=world.home), ReplayedClock(START), actor="data plane")
    events = stores.registry.events_after(0)
    follow_registry(other)
    assert follow_registry(stores) == 0
    told = [each for each in stores.alerts.events() if each.kind is EventKind.INFO]
    assert [each.evidence["event"] for each in told] == [events[-1].id]
