from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from mlops_dagster.clock import ReplayedClock, SystemClock
from mlops_dagster.errors import InvalidInputError, TransitionError, VersionExistsError
from mlops_dagster.registry import ALLOWED, ModelCard, ModelRegistry, Stage

START = datetime(2013, 3, 1, tzinfo=UTC)


def stages(registry: ModelRegistry) -> dict[str, str]:
    return {version.version: version.stage.value for version in registry.list("flights")}


def test_a_version_goes_from_shadow_to_champion(registry: ModelRegistry, add) -> None:
    old, new = add("1.0.0"), add("1.1.0")
    registry.transition(old, "prod")
    registry.transition(new, "Shadow")
    assert registry.deployment("flights").shadows == ("1.1.0",)

    registry.transition(new, "Canary", weight=0.01, reason="shadow is fine")
    canary = registry.deployment("flights")
    assert (canary.champion, canary.canary, canary.canary_weight, canary.shadows) == ("1.0.0", "1.1.0", 0.01, ())
    assert len(canary.salt) == 16

    wider = registry.set_canary_weight("flights", 0.05, expected_epoch=canary.epoch, evidence={"p": 0.2})
    assert (wider.canary_weight, wider.epoch, wider.salt) == (0.05, canary.epoch + 1, canary.salt)

    registry.transition(new, "Production", reason="superior", evidence={"e_value": float("inf")})
    done = registry.deployment("flights")
    assert (done.champion, done.previous, done.canary, done.canary_weight) == ("1.1.0", "1.0.0", None, 0.0)
    assert registry.get("flights", "1.0.0").stage is Stage.DEPRECATED
    assert registry.get("flights", "1.1.0").reason == "superior"
    assert not registry.get("flights", "1.0.0").rolled_back

    last = registry.history("flights")[-2:]
    assert [(event.version, event.from_stage, event.to_stage) for event in last] == [
        ("1.1.0", Stage.CANARY, Stage.PRODUCTION),
        ("1.0.0", Stage.PRODUCTION, Stage.DEPRECATED),
    ]
    assert [event.reason for event in last] == ["superior", "replaced by 1.1.0: superior"]
    assert {(event.epoch, event.deployment) for event in last} == {(done.epoch, done)}
    assert last[0].evidence == {"e_value": "Infinity"}
    registry.audit()


def test_every_canary_is_dealt_anew(registry: ModelRegistry, add) -> None:
    registry.transition(add("1.0.0"), "Production")
    challenger = add("1.1.0")
    salts = set()
    for _ in range(3):
        registry.transition(challenger, "Canary", weight=0.1)
        salts.add(registry.deployment("flights").salt)
        registry.transition(challenger, "Registered")
    assert len(salts) == 3


@pytest.mark.parametrize("weight", [-0.01, 1.01, float("nan"), float("inf"), None])
def test_a_canary_takes_a_share_between_0_and_1(registry: ModelRegistry, add, weight: float | None) -> None:
    registry.transition(add("1.0.0"), "Production")
    with pytest.raises(InvalidInputError, match="weight"):
        registry.transition(add("1.1.0"), "Canary", weight=weight)


def test_steps_that_make_no_sense_are_refused(registry: ModelRegistry, add) -> None:
    first, second, third = add("1.0.0"), add("1.1.0"), add("1.2.0")
    with pytest.raises(TransitionError, match="needs a champion next to its canary"):
        registry.transition(first, "Canary", weight=0.1)
    with pytest.raises(TransitionError, match="no canary to weigh"):
        registry.set_canary_weight("flights", 0.1, expected_epoch=0)
    registry.transition(first, "Production")
    with pytest.raises(TransitionError, match="is in Production: it may go to Deprecated, not to Shadow") as error:
        registry.transition(first, "Shadow")
    assert error.value.code == "transition_not_allowed"
    with pytest.raises(InvalidInputError, match="only a canary has a weight"):
        registry.transition(second, "Shadow", weight=0.5)
    registry.transition(second, "Canary", weight=0.1)
    with pytest.raises(TransitionError, match="has the canary 1.1.0 already"):
        registry.transition(third, "Canary", weight=0.1)
    with pytest.raises(TransitionError, match="needs a champion next to its canary"):
        registry.transition(first, "Deprecated")
    with pytest.raises(TransitionError, match="is the champion; `rollback`"):
        registry.withdraw(first, reason="bad")
    assert stages(registry) == {"1.0.0": "Production", "1.1.0": "Canary", "1.2.0": "Registered"}


def test_withdrawing_is_for_good_and_may_be_said_twice(registry: ModelRegistry, add) -> None:
    registry.transition(add("1.0.0"), "Production")
    canary, shadow = add("1.1.0"), add("1.2.0")
    registry.transition(canary, "Canary", weight=0.5)
    registry.transition(shadow, "Shadow")
    for bad in (canary, shadow):
        after = registry.withdraw(bad, reason="error rate 3 %", evidence={"p": 0.001})
        assert registry.withdraw(bad, reason="again") == after
        found = registry.get("flights", bad.version)
        assert (found.stage, found.rolled_back, found.reason) == (Stage.DEPRECATED, True, "error rate 3 %")
    assert (after.champion, after.canary, after.canary_weight, after.shadows) == ("1.0.0", None, 0.0, ())
    assert [event.version for event in registry.history("flights") if event.kind == "rollback"] == ["1.1.0", "1.2.0"]


def test_rollback_skips_what_was_rolled_back(registry: ModelRegistry, add) -> None:
    a, b, c, d = (add(f"1.{minor}.0") for minor in range(4))
    for version in (a, b, c):
        registry.transition(version, "Production")
    registry.transition(d, "Canary", weight=0.2)

    after = registry.rollback("flights", reason="macro-F1 under 0.83", evidence={"macro_f1": 0.8})
    assert (after.champion, after.previous, after.canary, after.canary_weight) == ("1.1.0", "1.0.0", None, 0.0)
    assert stages(registry) == {
        "1.0.0": "Deprecated",
        "1.1.0": "Production",
        "1.2.0": "Deprecated",
        "1.3.0": "Registered",
    }
    assert registry.get("flights", "1.2.0").rolled_back
    assert not registry.get("flights", "1.3.0").rolled_back

    registry.transition(d, "Production")
    assert registry.deployment("flights").previous == "1.1.0"
    assert registry.rollback("flights", reason="bad").champion == "1.1.0"  # not 1.2.0
    assert registry.rollback("flights", reason="bad").champion == "1.0.0"
    before = registry.deployment("flights")
    with pytest.raises(TransitionError, match="no earlier champion"):
        registry.rollback("flights", reason="bad")
    assert registry.deployment("flights") == before

    # By name one may go to any former champion, and then it is no longer a bad one.
    assert registry.rollback("flights", reason="was fine after all", to="v1.2.0").champion == "1.2.0"
    assert not registry.get("flights", "1.2.0").rolled_back
    registry.audit()


def test_rollback_named_precisely_happens_once(registry: ModelRegistry, add) -> None:
    for minor in range(3):
        registry.transition(add(f"1.{minor}.0"), "Production")
    after = registry.rollback("flights", reason="bad", bad="1.2.0")
    assert after.champion == "1.1.0"
    assert registry.rollback("flights", reason="bad", bad="1.2.0") == after
    assert registry.rollback("flights", reason="bad", to="1.1.0") == after


def test_rollback_never_goes_around_the_gates(registry: ModelRegistry, add) -> None:
    registry.transition(add("1.0.0"), "Production")
    add("1.1.0", card=None)
    with pytest.raises(TransitionError, match="never was champion"):
        registry.rollback("flights", reason="bad", to="1.1.0")


def test_a_pre_release_is_promoted_as_its_release(registry: ModelRegistry, add, card: ModelCard) -> None:
    registry.transition(add("3.0.0"), "Production")
    candidate = add("3.1.0-rc.1")
    registry.transition(candidate, "Canary", weight=0.5)
    champion = registry.transition(candidate, "Production", reason="superior")
    assert (champion.version, champion.digest, champion.card) == ("3.1.0", candidate.digest, card)
    assert champion.lineage["pre_release"] == "3.1.0-rc.1"
    assert stages(registry) == {"3.0.0": "Deprecated", "3.1.0-rc.1": "Deprecated", "3.1.0": "Production"}
    deployed = registry.deployment("flights")
    assert (deployed.champion, deployed.previous, deployed.canary) == ("3.1.0", "3.0.0", None)
    registry.audit()

    taken, other = add("3.2.0"), add("3.2.0-rc.1")
    assert taken.digest != other.digest
    with pytest.raises(VersionExistsError, match="3.2.0 is registered with other bytes"):
        registry.transition(other, "Production")
    assert registry.deployment("flights") == deployed


@pytest.mark.parametrize("name", ["1.1.0", "1.1.0-rc.1"])
def test_the_old_champion_may_stay_as_a_shadow_and_be_gone_back_to(registry: ModelRegistry, add, name: str) -> None:
    registry.transition(add("1.0.0"), "Production")
    new = add(name)
    registry.transition(new, "Canary", weight=0.5)
    with pytest.raises(InvalidInputError, match="only a new champion is watched by the old one, not .* enters Shadow"):
        registry.transition(new, "Shadow", watched=True)
    registry.transition(new, "Production", reason="superior", watched=True)
    watched = registry.deployment("flights")
    assert (watched.champion, watched.previous, watched.canary, watched.shadows) == ("1.1.0", "1.0.0", None, ("1.0.0",))
    assert registry.get("flights", "1.0.0").stage is Stage.SHADOW
    assert registry.get("flights", "1.0.0").reason == "replaced by 1.1.0: superior"

    registry.rollback("flights", reason="drifted", to="1.0.0", bad="1.1.0")
    back = registry.deployment("flights")
    assert (back.champion, back.previous, back.shadows) == ("1.0.0", None, ())
    assert registry.get("flights", "1.1.0").rolled_back
    registry.audit()


def test_as_of_tells_what_served_at_any_time(registry: ModelRegistry, add, clock: ReplayedClock) -> None:
    add("1.0.0")
    told = [(START, registry.deployment("flights"))]
    for hours, stage in ((1, "Production"), (2, "Shadow"), (3, "Canary"), (5, "Production")):
        clock.advance_to(START + timedelta(hours=hours))
        version = registry.get("flights", "1.0.0") if hours == 1 else add("1.1.0")
        registry.transition(version, stage, weight=0.2 if stage == "Canary" else None)
        told.append((clock.now(), registry.deployment("flights")))
    clock.advance_to(START + timedelta(hours=7))
    registry.rollback("flights", reason="bad")
    told.append((clock.now(), registry.deployment("flights")))

    for (since, deployed), (until, _) in zip(told, [*told[1:], (START + timedelta(days=9), None)], strict=True):
        for when in (since, since + (until - since) / 2, until - timedelta(microseconds=1)):
            assert registry.as_of("flights", when) == deployed
            assert registry.as_of("flights", when.astimezone(timezone(timedelta(hours=-5)))) == deployed
    before = registry.as_of("flights", START - timedelta(microseconds=1))
    assert (before.epoch, before.champion) == (0, None)
    with pytest.raises(ValueError, match="no time zone"):
        registry.as_of("flights", datetime(2013, 3, 1))  # noqa: DTZ001  # the mistake under test


def test_workers_say_since_when_they_serve_an_epoch(registry: ModelRegistry, add) -> None:
    add("1.0.0")
    served = [("b", 1), ("a", 1), ("b", 2)]
    for process, epoch in served:
        registry.acknowledge("flights", process, epoch)
    first = registry.acknowledgements("flights")
    assert [(entry.process, entry.epoch) for entry in first] == served
    registry.acknowledge("flights", "a", 1)
    assert registry.acknowledgements("flights") == first
    assert registry.acknowledgements("ghost") == []


def test_a_worker_that_says_nothing_more_or_that_it_goes_is_gone(
    registry: ModelRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    times = iter(START + timedelta(seconds=seconds) for seconds in (0, 60, 61, 100, 101))
    monkeypatch.setattr(SystemClock, "now", lambda _self: next(times))
    registry.beat("a")
    registry.beat("b")
    assert registry.workers() == {"a", "b"}
    assert registry.workers() == {"b"}
    registry.leave("b")
    registry.leave("nobody")
    assert registry.workers() == set()


VERSIONS = ("1.0.0", "1.1.0", "1.2.0", "2.0.0-rc.1")


class Lifecycle(RuleBasedStateMachine):
    """Any calls in any order: what is refused changes nothing, and what remains always makes sense."""

    home: Path
    card: ModelCard
    runs = 0

    @initialize()
    def open(self) -> None:
        type(self).runs += 1
        self.registry = ModelRegistry(f"sqlite:///{self.home}/{self.runs}/r.sqlite")
        artifact = self.home / "model.onnx"
        for name in VERSIONS:
            artifact.write_text(f"weights of {name}")
            self.registry.register("flights", artifact, name, card=self.card)
        self.epochs = [0]

    @rule(
        name=st.sampled_from(VERSIONS),
        stage=st.sampled_from(Stage),
        weight=st.sampled_from([0.0, 0.05, 1.0]),
        watched=st.booleans(),
    )
    def transition(self, name: str, stage: Stage, weight: float, watched: bool) -> None:
        version = self.registry.get("flights", name)
        before = self.registry.deployment("flights")
        try:
            self.registry.transition(
                version,
                stage,
                weight=weight if stage is Stage.CANARY else None,
                watched=watched and stage is Stage.PRODUCTION,
            )
            assert stage in ALLOWED[version.stage]
        except TransitionError:
            assert self.registry.deployment("flights") == before
            assert self.registry.get("flights", name) == version

    @rule(name=st.sampled_from(VERSIONS))
    def withdraw(self, name: str) -> None:
        version = self.registry.get("flights", name)
        if version.stage is not Stage.PRODUCTION:
            self.registry.withdraw(version, reason="bad")
            assert self.registry.get("flights", name).rolled_back

    @rule()
    def rollback(self) -> None:
        before = self.registry.deployment("flights")
        if before.previous is None:
            return
        after = self.registry.rollback("flights", reason="bad")
        assert (after.champion, after.canary) == (before.previous, None)
        assert after.previous is None or after.previous != before.champion

    @invariant()
    def stages_and_deployment_agree(self) -> None:
        deployed = self.registry.deployment("flights")
        versions = self.registry.list("flights")
        found = {stage: [entry.version for entry in versions if entry.stage is stage] for stage in Stage}
        assert found[Stage.PRODUCTION] == [deployed.champion] * (deployed.champion is not None)
        assert found[Stage.CANARY] == [deployed.canary] * (deployed.canary is not None)
        assert sorted(found[Stage.SHADOW]) == sorted(deployed.shadows)
        assert deployed.canary is not None or deployed.canary_weight == 0
        assert deployed.canary is None or deployed.champion is not None
        bad = {entry.version for entry in versions if entry.rolled_back}
        assert deployed.previous not in bad | ({deployed.champion} if deployed.champion else set())
        assert deployed.champion not in bad

    @invariant()
    def history_tells_the_same(self) -> None:
        deployed = self.registry.deployment("flights")
        assert deployed.epoch - self.epochs[-1] in (0, 1)
        self.epochs.append(deployed.epoch)
        assert self.registry.history("flights")[-1].deployment == deployed

    def teardown(self) -> None:
        self.registry.audit()


def test_any_sequence_of_calls_keeps_the_deployment_sound(tmp_path: Path, card: ModelCard) -> None:
    machine = type("Machine", (Lifecycle,), {"home": tmp_path, "card": card})
    run_state_machine_as_test(
        machine,
        settings=settings(max_examples=12, stateful_step_count=12, suppress_health_check=list(HealthCheck)),
    )
