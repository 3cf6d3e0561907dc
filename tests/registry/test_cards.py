import pytest
from pydantic import ValidationError

from mlops_dagster.errors import IncompleteCardError, QualityGateError
from mlops_dagster.registry import EvaluationSlice, FairnessAudit, GatePolicy, ModelCard, ModelRegistry, Stage

COMPARED = FairnessAudit(attribute="origin", groups={"JFK": {"rows": 900, "accuracy": 0.9}}, max_gap=0.01)
UNCOMPARED = FairnessAudit(
    attribute="carrier", groups={"HA": {"rows": 13, "accuracy": 0.7}}, max_gap=None, min_group_rows=30
)


@pytest.mark.parametrize(
    ("absent", "named"),
    [
        ({"provenance": None}, ("provenance",)),
        ({"evaluation": ()}, ("evaluation",)),
        ({"evaluation": (EvaluationSlice(name="winter", rows=3, metrics={"micro_f1": 1}),)}, ("evaluation.overall",)),
        (
            {"evaluation": (EvaluationSlice(name="overall", rows=3, metrics={"micro_f1": 0.99}),)},
            ("evaluation.overall.macro_f1", "evaluation.overall.accuracy"),
        ),
        ({"intended_use": " "}, ("intended_use",)),
        ({"failure_modes": ("",)}, ("failure_modes",)),
        ({"fairness": ()}, ("fairness",)),
        ({"fairness": (FairnessAudit(attribute="carrier", groups={}, max_gap=0),)}, ("fairness",)),
        ({"fairness": (UNCOMPARED, COMPARED)}, ("fairness.carrier",)),
    ],
)
def test_production_refuses_a_card_without_a_promised_part(
    registry: ModelRegistry, add, card: ModelCard, absent: dict[str, object], named: tuple[str, ...]
) -> None:
    incomplete = card.model_copy(update=absent)
    assert incomplete.missing() == named
    version = add("1.0.0", card=incomplete)
    with pytest.raises(IncompleteCardError, match="complete model card") as error:
        registry.transition(version, "Production")
    assert all(part in error.value.message for part in named)
    assert registry.deployment("flights").epoch == 0
    assert registry.transition(registry.attach_card(version, card), "Production").stage is Stage.PRODUCTION


def test_production_refuses_a_version_without_any_card(registry: ModelRegistry, add) -> None:
    with pytest.raises(IncompleteCardError, match="provenance, evaluation, intended_use, failure_modes, fairness"):
        registry.transition(add("1.0.0", card=None), "Production")


@pytest.mark.parametrize(("micro_f1", "passes"), [(0.91, True), (0.9099, False), (0.0, False), (1.0, True)])
def test_the_gate_is_micro_f1_of_all_rows(
    registry: ModelRegistry, add, card: ModelCard, micro_f1: float, passes: bool
) -> None:
    overall = EvaluationSlice(name="overall", rows=9, metrics={"micro_f1": micro_f1, "macro_f1": 1, "accuracy": 1})
    easy = EvaluationSlice(name="easy", rows=9, metrics={"micro_f1": 1, "macro_f1": 1, "accuracy": 1})
    version = add("1.0.0", card=card.model_copy(update={"evaluation": (easy, overall)}))
    if passes:
        assert registry.transition(version, "Production").stage is Stage.PRODUCTION
    else:
        with pytest.raises(QualityGateError, match=r"quality gate promises micro-F1 >= 0.91") as error:
            registry.transition(version, "Production")
        assert f"{micro_f1:.4f}" in error.value.message
        assert registry.get("flights", "1.0.0").stage is Stage.REGISTERED
        registry.publish_policies("flights", {"gates": GatePolicy(min_micro_f1=micro_f1)})
        assert registry.transition(version, "Production").stage is Stage.PRODUCTION


def test_gates_by_model_leave_other_models_the_default(uri: str, add) -> None:
    lenient = ModelRegistry(uri)
    low = EvaluationSlice(name="overall", rows=9, metrics={"micro_f1": 0.6, "macro_f1": 0.6, "accuracy": 0.6})
    for model, error in (("flights", None), ("other", QualityGateError)):
        version = add("1.0.0", model=model)
        version = lenient.attach_card(version, version.card.model_copy(update={"evaluation": (low,)}))
        lenient.publish_policies("flights", {"gates": GatePolicy(min_micro_f1=0.5)})
        if error:
            with pytest.raises(error):
                lenient.transition(version, "Production")
        else:
            lenient.transition(version, "Production")


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_card_cannot_hold_what_is_no_number(value: float) -> None:
    with pytest.raises(ValidationError):
        EvaluationSlice(name="overall", rows=1, metrics={"micro_f1": value})


def test_the_champion_keeps_a_complete_card(registry: ModelRegistry, add, card: ModelCard) -> None:
    champion = registry.transition(add("1.0.0"), "Production")
    with pytest.raises(IncompleteCardError, match="in production"):
        registry.attach_card(champion, ModelCard(intended_use="none"))
    assert registry.get("flights", "1.0.0").card == card
    better = card.model_copy(update={"contacts": ("desk@example.org",)})
    registry.attach_card(champion, better)
    assert registry.get("flights", "1.0.0").card == better
    assert [event.kind for event in registry.history("flights")] == ["registered", "transition", "card"]
    registry.audit()


def test_the_markdown_shows_every_part(card: ModelCard) -> None:
    full = card.model_copy(update={"contacts": ("a|b",)}).to_markdown()
    for text in (
        "Tells the desk",
        "flights: 10 rows, 2013-03-01 to 2013-03-01",
        "| overall | 10 | 0.91 | 0.87 | 0.91 |",
        "- storms",
        "of carrier: 0.0200",
        "- a|b",
    ):
        assert text in full
    assert "_absent_" not in full
    assert ModelCard().to_markdown().count("_absent_") == 6
