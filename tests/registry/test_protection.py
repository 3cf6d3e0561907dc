"""Holds: a part of the deployment that whoever promotes or rolls back leaves alone."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Barrier

import pytest

from mlops_dagster.clock import ReplayedClock
from mlops_dagster.errors import EpochConflictError, InvalidInputError, ModelNotFoundError
from mlops_dagster.registry import Deployment, Hold, ModelRegistry


def test_a_hold_is_an_event_and_stays_through_promotion_and_rollback(
    registry: ModelRegistry, add, clock: ReplayedClock
) -> None:
    registry.transition(add("1.0.0"), "Production")
    before = clock.now()
    clock.advance_to(before + timedelta(hours=1))
    held = registry.hold("flights", "bad rows", evidence={"hour": "2013-03-01T00"})
    assert (held.epoch, held.on_hold) == (2, Hold("bad rows"))
    registry.transition(add("2.0.0"), "Production")
    registry.rollback("flights", reason="worse")
    registry.transition(add("3.0.0"), "Canary", weight=0.1)
    assert registry.deployment("flights").on_hold == Hold("bad rows")
    released = registry.release("flights", "mended")
    assert (released.on_hold, released.canary, released.champion) == (None, "3.0.0", "1.0.0")
    told = [event for event in registry.history("flights") if event.kind in ("held", "released")]
    assert [(event.kind, event.actor, event.reason, event.version) for event in told] == [
        ("held", "tester", "bad rows", None),
        ("released", "tester", "mended", None),
    ]
    assert told[0].evidence == {"hour": "2013-03-01T00"}
    assert (told[0].deployment.on_hold, told[1].deployment.on_hold) == (Hold("bad rows"), None)
    assert registry.as_of("flights", before).on_hold is None
    registry.audit()


def test_said_again_nothing_changes_and_what_a_person_holds_only_a_person_lifts(registry: ModelRegistry, add) -> None:
    add("1.0.0")

    def state(deployment: Deployment) -> tuple[int, Hold | None]:
        return deployment.epoch, deployment.on_hold

    assert state(registry.release("flights", "nothing to lift")) == (0, None)
    assert state(registry.hold("flights", "bad hour", automatic=True)) == (1, Hold("bad hour", automatic=True))
    assert state(registry.hold("flights", "another", automatic=True)) == (1, Hold("bad hour", automatic=True))
    assert state(registry.release("flights", "good hour", automatic=True)) == (2, None)
    registry.hold("flights", "bad hour", automatic=True)
    assert state(registry.hold("flights", "I look at it")) == (4, Hold("I look at it"))
    assert state(registry.hold("flights", "me too")) == (4, Hold("I look at it"))
    assert state(registry.hold("flights", "bad hour", automatic=True)) == (4, Hold("I look at it"))
    assert state(registry.release("flights", "good hour", automatic=True)) == (4, Hold("I look at it"))
    assert state(registry.release("flights", "fine")) == (5, None)
    with pytest.raises(InvalidInputError, match="needs a reason"):
        registry.hold("flights", " ")
    with pytest.raises(ModelNotFoundError):
        registry.hold("trains", "r")
    assert [event.kind for event in registry.history("flights")][1:] == ["held", "released", "held", "held", "released"]


def test_a_hold_always_gets_through_and_a_promotion_of_before_does_not(registry: ModelRegistry, uri: str, add) -> None:
    names = [add(f"1.{number}.0").version for number in range(8)]
    epoch = registry.deployment("flights").epoch
    start = Barrier(9)

    def promote(name: str) -> bool:
        own = ModelRegistry(uri, actor=name)
        start.wait()
        try:
            own.transition(own.get("flights", name), "Production", expected_epoch=epoch)
        except EpochConflictError:
            return False
        finally:
            own.close()
        return True

    def hold() -> int:
        own = ModelRegistry(uri, actor="on call")
        start.wait()
        held = own.hold("flights", "bad rows")
        own.close()
        return held.epoch

    with ThreadPoolExecutor(9) as pool:
        held, won = pool.submit(hold), [pool.submit(promote, name) for name in names]
        promoted = sum(each.result() for each in won)
    deployed = registry.deployment("flights")
    assert deployed.on_hold == Hold("bad rows")
    assert promoted <= 1, "one of them, if it came before the hold"
    assert deployed.epoch == epoch + promoted + 1
    assert held.result() == epoch + promoted + 1
    registry.audit()


def test_no_reason_is_refused_by_a_database_or_grows_without_end(registry: ModelRegistry, add) -> None:
    """PostgreSQL keeps no NUL, UTF-8 no half of a pair: a hold that fails for its reason would open the gate."""
    add("1.0.0")
    held = registry.hold("flights", "\0such as\nAda\x1b[31m\ud800" + "x" * 100_000, automatic=True)
    assert held.on_hold is not None
    assert held.on_hold.reason.startswith("such as Ada [31m xxx")
    assert len(held.on_hold.reason) == 2_000
    assert registry.history("flights")[-1].reason == held.on_hold.reason
    with pytest.raises(InvalidInputError, match="needs a reason"):
        registry.hold("flights", "\0\x1b")
    registry.audit()
