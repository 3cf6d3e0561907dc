"""What stands before production, and who may open it."""

from pathlib import Path

import pytest

from mlops_dagster.clock import ReplayedClock
from mlops_dagster.errors import (
    ApprovalError,
    IncompleteCardError,
    InvalidInputError,
    KnownBadError,
    QualityGateError,
    TransitionError,
    ValidationGateError,
)
from mlops_dagster.registry import GatePolicy, ModelCard, ModelRegistry, Stage, Validation
from tests.support.registry_start import START

FOUR_EYES = GatePolicy(approvers=("grace", "ada"))


def acting(uri: str, actor: str) -> ModelRegistry:
    return ModelRegistry(uri, clock=ReplayedClock(START), actor=actor)


def test_check_says_everything_that_is_missing(registry: ModelRegistry, add) -> None:
    bare = add("1.0.0", card=None)
    registry.publish_policies("flights", {"gates": FOUR_EYES})
    assert [type(error) for error in registry.closed_gates(bare)] == [
        IncompleteCardError,
        ValidationGateError,
        QualityGateError,
        ApprovalError,
    ]
    complete = add("1.1.0")
    assert [type(error) for error in registry.closed_gates(complete)] == [ApprovalError]
    with pytest.raises(ApprovalError, match="grace or ada must approve it with its present card"):
        registry.transition(complete, "Production")
    assert registry.deployment("flights").champion is None


def test_bytes_that_were_rolled_back_are_known_under_any_other_number(
    registry: ModelRegistry, add, card: ModelCard, tmp_path: Path
) -> None:
    good, bad = add("1.0.0"), add("1.1.0-rc.1")
    for version in (good, bad):
        registry.transition(version, "Production")
    registry.rollback("flights", reason="wrong units")
    registry.fetch(bad, tmp_path / "once-more.onnx")
    again = registry.register("flights", tmp_path / "once-more.onnx", "1.1.1", card=card)
    release = registry.get("flights", "1.1.0")
    assert [type(error) for error in registry.closed_gates(again)] == [KnownBadError]
    with pytest.raises(KnownBadError, match=r"1\.1\.1 has the bytes of 1\.1\.0, which was rolled back"):
        registry.transition(again, "Production")
    assert registry.closed_gates(release) == registry.closed_gates(bad) == (), "who names it knows its history"
    for stage in ("Shadow", "Production"):
        registry.transition(registry.get("flights", "1.1.0"), stage, reason="the units were right")
    assert registry.closed_gates(again) == ()


@pytest.mark.parametrize(
    ("validation", "message"),
    [
        (None, "does not say what validated the training data"),
        (
            Validation(suite="schema", expectations=3, rows=10, passed=False, failures=("dep_delay: 3 % null",)),
            "failed the suite schema .dep_delay: 3 % null.",
        ),
    ],
)
def test_data_that_nobody_validated_or_that_failed_makes_no_champion(
    registry: ModelRegistry, add, card: ModelCard, validation: Validation | None, message: str
) -> None:
    version = add("1.0.0", card=card.model_copy(update={"validation": validation}))
    with pytest.raises(ValidationGateError, match=message):
        registry.transition(version, "Production")


def test_an_approver_other_than_who_asked_opens_the_gate(registry: ModelRegistry, uri: str, add) -> None:
    version = add("1.0.0")
    with pytest.raises(ApprovalError, match="has no approvers"):
        registry.request_approval(version)
    registry.publish_policies("flights", {"gates": FOUR_EYES})
    grace, ada, eve = (acting(uri, name) for name in ("grace", "ada", "eve"))
    with pytest.raises(ApprovalError, match="no approval was requested"):
        grace.approve(version)
    ada.request_approval(version, reason="please look at the fairness audit")
    with pytest.raises(ApprovalError, match="eve is not an approver of flights; ask grace, ada"):
        eve.approve(version)
    with pytest.raises(ApprovalError, match="ada asked to approve flights 1.0.0: another person must answer"):
        ada.approve(version)
    grace.reject(version, reason="which groups?")
    with pytest.raises(ApprovalError, match=r"grace rejected it \(which groups\?\)"):
        registry.transition(version, "Production")
    ada.request_approval(version)
    grace.approve(version, reason="fine")
    assert registry.closed_gates(version) == ()
    assert registry.transition(version, "Production").stage is Stage.PRODUCTION
    assert [(event.kind, event.actor) for event in registry.history("flights")][2:] == [
        ("approval_requested", "ada"),
        ("rejected", "grace"),
        ("approval_requested", "ada"),
        ("approved", "grace"),
        ("transition", "tester"),
    ]
    registry.audit()


def test_an_approval_is_of_the_card_that_was_seen(registry: ModelRegistry, uri: str, add, card: ModelCard) -> None:
    version = add("1.0.0")
    registry.publish_policies("flights", {"gates": FOUR_EYES})
    registry.request_approval(version)
    acting(uri, "grace").approve(version)
    registry.attach_card(version, card.model_copy(update={"intended_use": "Something else."}))
    with pytest.raises(ApprovalError):
        registry.transition(version, "Production")
    with pytest.raises(ApprovalError, match="no approval was requested for flights 1.0.0 with its present card"):
        acting(uri, "ada").approve(version)


def test_an_approver_who_is_none_any_more_does_not_count(registry: ModelRegistry, uri: str, add) -> None:
    version = add("1.0.0")
    registry.publish_policies("flights", {"gates": FOUR_EYES})
    registry.request_approval(version)
    acting(uri, "grace").approve(version)
    registry.publish_policies("flights", {"gates": GatePolicy(approvers=("ada",))})
    with pytest.raises(ApprovalError, match="ada must approve"):
        registry.transition(version, "Production")


def test_force_enters_production_and_names_the_gates_it_broke(registry: ModelRegistry, add) -> None:
    bare = add("1.0.0", card=None)
    for arguments in ({"stage": "Production", "reason": " "}, {"stage": "Shadow", "reason": "because"}):
        with pytest.raises(InvalidInputError, match="needs a reason"):
            registry.transition(bare, **arguments, force=True)
    assert registry.transition(bare, "Production", reason="fire", force=True).stage is Stage.PRODUCTION
    _, forced, moved = registry.history("flights")
    assert (forced.kind, forced.version, forced.reason, forced.actor) == ("forced", "1.0.0", "fire", "tester")
    assert set(forced.evidence["gates"]) == {"incomplete_card", "validation_gate", "quality_gate"}
    assert (moved.kind, moved.to_stage) == ("transition", Stage.PRODUCTION)
    registry.audit()


def test_force_opens_no_way_that_the_state_machine_has_not(registry: ModelRegistry, add) -> None:
    version = registry.transition(add("1.0.0"), "Deprecated")
    with pytest.raises(TransitionError, match="may go to Shadow, not to Production"):
        registry.transition(version, "Production", reason="fire", force=True)
    assert [event.kind for event in registry.history("flights")] == ["registered", "transition"]
