"""Slices: their metrics follow from their counts, and their intervals hold the truth as often as they say."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from sklearn.metrics import accuracy_score, f1_score

from mlops_dagster.errors import InvalidInputError
from mlops_dagster.registry import EvaluationSlice, ModelCard, audit_fairness, evaluate, to_html
from mlops_dagster.registry.cards.fairness import MOST_RATES
from mlops_dagster.statistics import macro_f1_interval, metrics_from_confusion

pytestmark = pytest.mark.slow

LABELS = ("late", "on_time", "lost")


@pytest.mark.parametrize(
    ("right", "rows", "low", "high"),
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_accuracy_has_the_interval_that_newcombe_printed(right: int, rows: int, low: float, high: float) -> None:
    """R. G. Newcombe, Statistics in Medicine 17, 1998, table I, method 3."""
    part = evaluate("overall", ["late"] * rows, ["late"] * right + ["on_time"] * (rows - right))
    assert part.intervals["accuracy"] == pytest.approx((low, high), abs=5e-5)
    assert part.intervals["micro_f1"] == part.intervals["accuracy"]


@given(st.lists(st.tuples(st.sampled_from(LABELS), st.sampled_from(LABELS)), min_size=1))
def test_counts_give_the_metrics_again(pairs: list[tuple[str, str]]) -> None:
    true, predicted = zip(*pairs, strict=True)
    part = evaluate("overall", true, predicted)
    assert part.metrics["accuracy"] == pytest.approx(accuracy_score(true, predicted))
    assert part.metrics["macro_f1"] == pytest.approx(f1_score(true, predicted, average="macro", zero_division=0))
    again = metrics_from_confusion({(t, p): n for t, row in part.counts.items() for p, n in row.items()})
    assert {"accuracy": again.accuracy, "micro_f1": again.micro_f1, "macro_f1": again.macro_f1} == part.metrics
    for name, (low, high) in part.intervals.items():
        assert 0 <= low <= part.metrics[name] <= high <= 1
    assert ("macro_f1" in part.intervals) == (len({*true, *predicted}) > 1)
    assert EvaluationSlice.model_validate_json(part.model_dump_json()) == part


@pytest.mark.parametrize("rows", [60, 400])
def test_the_interval_of_macro_f1_holds_the_truth_19_times_of_20(rows: int) -> None:
    cells = [("late", "late"), ("late", "on_time"), ("on_time", "late"), ("on_time", "on_time")]
    shares = np.array([0.14, 0.06, 0.03, 0.77])
    truth = metrics_from_confusion(dict(zip(cells, (shares * 100).round().astype(int).tolist(), strict=True))).macro_f1
    held = 0
    for counts in np.random.default_rng(1).multinomial(rows, shares, size=400):
        interval = macro_f1_interval(dict(zip(cells, counts.tolist(), strict=True)))
        assert interval is not None
        held += interval[0] <= truth <= interval[1]
    assert 0.92 <= held / 400 <= 0.98


def test_no_error_seen_is_not_no_error_possible() -> None:
    few, many = (macro_f1_interval({("late", "late"): n, ("on_time", "on_time"): n}) for n in (10, 1000))
    assert few is not None
    assert many is not None
    assert few[0] < 0.95 < many[0] < 1 == few[1] == many[1]
    with pytest.raises(InvalidInputError, match="confidence"):
        macro_f1_interval({("late", "late"): 1}, confidence=95)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"intervals": {"accuracy": (0.9, 0.8)}}, "from its lower bound"),
        ({"intervals": {"accuracy": (float("nan"), 0.8)}}, "finite"),
        ({"counts": {"late": {"late": 2}}}, "add up to 2, and it has 3 rows"),
        ({"counts": {"late": {"late": 4, "on_time": -1}}}, "greater than or equal to 0"),
    ],
)
def test_what_cannot_be_is_refused(wrong: dict[str, object], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        EvaluationSlice.model_validate({"name": "overall", "rows": 3, "metrics": {}, **wrong})


def test_a_card_of_a_thousand_classes_names_the_worst_and_stays_small():
    truth = [f"c{number:03}" for number in range(1000)] * 3
    said = [*truth[:2000], *(["c000"] * 500), *truth[2500:]]
    card = ModelCard(evaluation=(evaluate("overall", [*truth, "c007"], [*said, "c009"]),))
    for page in (card.to_markdown(), to_html(card)):
        assert "true class, the worst 20 of 1,000" in page
        assert "c009 (1), c000 (1)" in page or "c000 (1), c009 (1)" in page  # c007 has two errors: it is the first
        assert len(page) < 20_000


def test_a_card_of_a_thousand_slices_and_groups_shows_the_worst_and_stays_small() -> None:
    """Of 1,000 classes and groups a card would have a million selection rates."""
    row, name = np.arange(60_000), np.array([f"{number:03}" for number in range(1000)])
    shop, label = name[row % 1000], name[(row + row // 1000) % 1000]  # 60 rows a shop, each of another class
    said = np.where((shop == "777") | (row // 1000 % 10 == 0), "000", label)
    right = evaluate("overall", ["a", "b"] * 9, ["a", "b"] * 9)
    parts = [right, *(right.model_copy(update={"name": f"shop={number:03}"}) for number in range(999))]
    parts.append(evaluate("shop=worst", ["a", "b"] * 9, ["a", "a"] * 9))
    audit = audit_fairness(label, said, shop, attribute="shop")
    (always,) = (rates for name, rates in audit.groups.items() if name == "777")
    assert (always["accuracy"], always["selection_rate[000]"], len(always)) == (0, 1, 2 + MOST_RATES)
    assert audit.gaps["demographic_parity_difference"] == pytest.approx(0.9)
    card = ModelCard(evaluation=tuple(parts), fairness=(audit,))
    for page in (card.to_markdown(), to_html(card)):
        assert "slice, the worst 40 of 1,001" in page
        assert "shop, the worst 40 of 1,000" in page
        assert "shop=worst" in page
        assert "777" in page
    assert len(card.to_markdown()) < 20_000
    assert len(card.model_dump_json()) < 2_000_000
