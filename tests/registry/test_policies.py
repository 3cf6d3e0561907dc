"""The policies of a model: one document with a history, of one code location."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Barrier

import pytest
from pydantic import Field
from sqlalchemy import Engine, text

from mlops_dagster.clock import ReplayedClock
from mlops_dagster.documents.strict import StrictModel
from mlops_dagster.errors import (
    AuditError,
    InvalidNameError,
    InvalidPolicyError,
    NotFoundError,
    PolicyConflictError,
    QualityGateError,
    UnreadableError,
)
from mlops_dagster.registry import GatePolicy, GuardPolicy, ModelRegistry
from tests.support.registry_start import START

HOUR = timedelta(hours=1)


class Windows(StrictModel):
    """A policy of a room that the registry does not know."""

    hours: float = 24
    names: tuple[str, ...] = Field(default=("a",))


def test_as_of_says_which_were_in_force_before_there_is_a_version_and_after(
    registry: ModelRegistry, clock: ReplayedClock, add
) -> None:
    nothing = registry.policies("flights")
    assert (nothing.section("windows", Windows), nothing.origin, nothing.event) == (Windows(), "the defaults", 0)
    published = [Windows(hours=6), Windows(hours=12, names=("x", "y")), Windows()]
    times = []
    for number, policy in enumerate(published):
        clock.advance_to(START + (number + 1) * HOUR)
        times.append(clock.now())
        registry.publish_policies("flights", {"windows": policy}, location="shop")
        registry.publish_policies("flights", {"windows": policy}, location="shop", reason="once more")
        if number == 0:
            assert registry.models() == []
            add("1.0.0")
    assert registry.policies("flights", as_of=START).sections == {}
    for at, policy, until in zip(times, published, [*times[1:], times[-1] + HOUR], strict=True):
        for when in (at, until - timedelta(microseconds=1)):
            found = registry.policies("flights", as_of=when)
            assert (found.section("windows", Windows), found.published_at, found.location) == (policy, at, "shop")
    assert registry.policies("flights").section("windows", Windows) == published[-1]
    told = [(event.kind, event.actor, event.reason) for event in registry.history("flights")]
    once = ("policies", "tester", "the code location 'shop': windows")
    assert told == [once, ("registered", "tester", ""), once, once]
    registry.audit()


def test_two_code_locations_that_differ_are_refused_by_name_until_one_hands_over(registry: ModelRegistry) -> None:
    ours, theirs = {"windows": Windows(hours=6)}, {"windows": Windows(hours=7), "gates": GatePolicy()}
    registry.publish_policies("flights", {"windows": Windows()})
    registry.publish_policies("flights", ours, location="shop")  # in place of a script's
    registry.publish_policies("flights", ours, location="copy")  # which says the same
    registry.publish_policies("flights", ours)
    assert registry.policies("flights").location == "shop"
    with pytest.raises(PolicyConflictError, match=r"'shop'.*'copy' has others \(gates, windows\).*hand-over flights"):
        registry.publish_policies("flights", theirs, location="copy")
    with pytest.raises(PolicyConflictError, match="'shop', and a process outside of any code location has others"):
        registry.publish_policies("flights", theirs)
    assert registry.policies("flights").section("windows", Windows).hours == 6
    registry.hand_over_policies("flights", to="copy", reason="moved")
    registry.hand_over_policies("flights", to="copy", reason="moved twice")
    found = registry.policies("flights")
    assert (found.section("windows", Windows).hours, found.location) == (6, "copy")
    registry.publish_policies("flights", ours, location="shop")
    registry.publish_policies("flights", theirs, location="copy")
    with pytest.raises(PolicyConflictError, match="'copy', and the code location 'shop'"):
        registry.publish_policies("flights", ours, location="shop")
    with pytest.raises(NotFoundError, match="no policies of 'trains'"):
        registry.hand_over_policies("trains", to="copy", reason="moved")
    assert registry.audit().events == 4


def test_of_two_at_once_one_is_in_force_and_the_other_is_told(registry: ModelRegistry, uri: str) -> None:
    start = Barrier(4)

    def publish(location: str) -> bool:
        own = ModelRegistry(uri, clock=ReplayedClock(START), actor=location)
        start.wait()
        try:
            own.publish_policies("flights", {"windows": {"names": [location]}}, location=location)
        except PolicyConflictError:
            return False
        finally:
            own.close()
        return True

    names = ["a", "b", "c", "d"]
    with ThreadPoolExecutor(4) as pool:
        done = dict(zip(names, pool.map(publish, names), strict=True))
    (winner,) = [name for name, won in done.items() if won]
    assert registry.policies("flights").section("windows", Windows).names == (winner,)
    assert registry.audit().events == 1


def test_gates_and_guard_are_those_of_the_policies(registry: ModelRegistry, add) -> None:
    strict = GuardPolicy(mode="reject", stretch=0.5)
    registry.publish_policies("flights", {"gates": GatePolicy(min_micro_f1=0.95), "guard": strict})
    version = add("1.0.0")
    assert (registry.deployment("flights").guard, registry.deployment("flights").epoch) == (strict, 0)
    with pytest.raises(QualityGateError, match="0.95"):
        registry.transition(version, "Production")
    registry.publish_policies("flights", {"gates": {"min_micro_f1": 0.9}})
    assert (registry.deployment("flights").guard, registry.deployment("flights").epoch) == (GuardPolicy(), 1)
    registry.publish_policies("flights", {"gates": {"min_micro_f1": 0.9}, "windows": {}})
    assert registry.deployment("flights").epoch == 1, "workers need not look"
    registry.transition(version, "Production")
    registry.publish_policies("flights", {"guard": strict}, reason="we were attacked")
    event = registry.history("flights")[-1]
    assert (event.kind, event.reason, event.deployment.guard) == ("policies", "we were attacked", strict)
    assert registry.gates("flights") == GatePolicy()
    registry.audit()


@pytest.mark.parametrize(
    ("policies", "message"),
    [
        ({"gates": {"min_micro_f2": 1}}, "min_micro_f2: Extra inputs"),
        ({"gates": {"min_micro_f1": float("nan")}}, "min_micro_f1"),
        ({"guard": {"mode": "sometimes"}}, "mode"),
        ({"windows": object()}, "cannot be kept as JSON"),
    ],
)
def test_what_nobody_could_use_is_not_published(
    registry: ModelRegistry, policies: dict[str, object], message: str
) -> None:
    with pytest.raises(InvalidPolicyError, match=message):
        registry.publish_policies("flights", policies)
    with pytest.raises(InvalidNameError):
        registry.publish_policies("../flights", {})
    assert registry.policies("flights").event == 0


def test_a_policy_in_force_is_not_changed_behind_the_registry(registry: ModelRegistry, database: Engine) -> None:
    registry.publish_policies("flights", {"windows": Windows()}, location="shop")
    kept = registry.policies("flights")
    with database.begin() as connection, pytest.raises(Exception, match="append-only"):
        connection.execute(text("UPDATE events SET evidence = '{}'"))
    with database.begin() as connection:
        if database.dialect.name == "sqlite":
            connection.execute(text("DROP TRIGGER events_refuse_update"))
        else:
            connection.execute(text("ALTER TABLE events DISABLE TRIGGER ALL"))
        connection.execute(text("""UPDATE events SET evidence = '{"location": 1, "policies": {"windows": {}}}'"""))
    with pytest.raises(UnreadableError, match=r"the policies of flights \(event 1\)"):
        registry.policies("flights")
    with pytest.raises(AuditError, match="event 1 is not as it was written"):
        registry.audit()
    registry.publish_policies("flights", {"windows": Windows()}, location="shop")
    assert registry.policies("flights").sections == kept.sections
