"""The audit: fairlearn's numbers on the groups with enough rows, and the others named."""

import numpy as np
import pandas as pd
import pytest
from fairlearn.metrics import (
    MetricFrame,
    demographic_parity_difference,
    equalized_odds_difference,
    false_positive_rate,
    selection_rate,
    true_positive_rate,
)
from sklearn.metrics import accuracy_score

from mlops_dagster.errors import InvalidInputError
from mlops_dagster.registry import FairnessAudit, audit_fairness


def rows(**groups: tuple[int, int, int, int]) -> tuple[list[str], list[str], list[str]]:
    """True labels, predictions and groups, from (true positives, false negatives, false positives, true negatives)."""
    cells = (("late", "late"), ("late", "ok"), ("ok", "late"), ("ok", "ok"))
    flat = [
        (*cell, group)
        for group, counts in groups.items()
        for cell, n in zip(cells, counts, strict=True)
        for _ in range(n)
    ]
    true, predicted, names = zip(*flat, strict=True)
    return list(true), list(predicted), list(names)


def test_two_groups_by_hand() -> None:
    """AA: 40 right of 50 late, 5 of 50 others called late. UA: 30 of 60, and 20 of 140."""
    audit = audit_fairness(*rows(AA=(40, 10, 5, 45), UA=(30, 30, 20, 120)), attribute="carrier", positive="late")
    assert audit.groups == {
        "AA": {
            "rows": 100,
            "accuracy": 0.85,
            "selection_rate": 0.45,
            "true_positive_rate": 0.8,
            "false_positive_rate": 0.1,
        },
        "UA": {
            "rows": 200,
            "accuracy": 0.75,
            "selection_rate": 0.25,
            "true_positive_rate": 0.5,
            "false_positive_rate": pytest.approx(1 / 7),
        },
    }
    assert audit.gaps == pytest.approx(
        {"accuracy": 0.1, "demographic_parity_difference": 0.2, "equalized_odds_difference": 0.3}
    )
    assert audit.max_gap == audit.gaps["accuracy"]
    assert audit.left_out == {}


@pytest.mark.parametrize("seed", range(3))
def test_the_numbers_are_those_of_fairlearn_on_every_row(seed: int) -> None:
    generator = np.random.default_rng(seed)
    true, group = generator.choice([0, 1], 900, p=[0.7, 0.3]), generator.choice(["a", "b", "c", "d"], 900)
    predicted = np.where(generator.random(900) < 0.8, true, 1 - true)
    audit = audit_fairness(true, predicted, group, attribute="g", positive="1", min_group_rows=1)
    metrics = {
        "accuracy": accuracy_score,
        "selection_rate": selection_rate,
        "true_positive_rate": true_positive_rate,
        "false_positive_rate": false_positive_rate,
    }
    frame = MetricFrame(metrics=metrics, y_true=true, y_pred=predicted, sensitive_features=group)
    for name, expected in frame.by_group.to_dict("index").items():
        assert {**audit.groups[name], "rows": 0} == pytest.approx({**expected, "rows": 0})
    assert audit.gaps == pytest.approx(
        {
            "accuracy": frame.difference()["accuracy"],
            "demographic_parity_difference": demographic_parity_difference(true, predicted, sensitive_features=group),
            "equalized_odds_difference": equalized_odds_difference(true, predicted, sensitive_features=group),
        }
    )


def test_groups_too_small_to_judge_are_named_and_do_not_count() -> None:
    """HA has 3 rows, all wrong; OO and VX have enough, but only 3 on time and 4 late."""
    true, predicted, groups = rows(
        AA=(40, 10, 5, 45), UA=(30, 30, 20, 120), HA=(0, 3, 0, 0), OO=(45, 10, 0, 3), VX=(0, 4, 10, 76)
    )
    audit = audit_fairness(true, predicted, groups, attribute="carrier", positive="late")
    assert audit.gaps == pytest.approx(
        {
            "accuracy": 0.1,
            "demographic_parity_difference": 45 / 58 - 10 / 90,
            "equalized_odds_difference": 0.3,
        }
    )
    assert (audit.min_group_rows, audit.groups["HA"]["accuracy"]) == (30, 0)
    assert audit.left_out == {
        "accuracy": ("HA",),
        "demographic_parity_difference": ("HA",),
        "equalized_odds_difference": ("HA", "OO", "VX"),
    }
    with_everyone = audit_fairness(true, predicted, groups, attribute="carrier", positive="late", min_group_rows=1)
    assert with_everyone.max_gap == pytest.approx(0.85)


def test_a_rate_of_no_rows_is_absent_rather_than_zero() -> None:
    """fairlearn says 0 for the true positive rate of a group that has no positives."""
    audit = audit_fairness(*rows(AA=(40, 10, 5, 45), UA=(0, 0, 20, 120)), attribute="carrier", positive="late")
    assert "true_positive_rate" not in audit.groups["UA"]
    assert audit.groups["UA"]["false_positive_rate"] == pytest.approx(1 / 7)
    assert "equalized_odds_difference" not in audit.gaps
    nowhere = audit_fairness(["ok"] * 60, ["ok"] * 60, ["AA", "UA"] * 30, attribute="carrier", positive="late")
    assert nowhere.gaps == {"accuracy": 0, "demographic_parity_difference": 0}


def test_nothing_compared_is_no_gap_rather_than_a_gap_of_zero() -> None:
    for groups in (["AA"] * 80, ["AA"] * 60 + ["UA"] * 20):
        audit = audit_fairness(["late"] * 80, ["late"] * 80, groups, attribute="carrier")
        assert (audit.max_gap, audit.gaps) == (None, {})


def test_three_classes_have_a_selection_rate_each() -> None:
    true = ["a", "b", "c", "a", "b", "c"] * 10
    predicted = ["a", "b", "c", "a", "a", "a"] * 10
    audit = audit_fairness(true, predicted, ["x", "x", "x", "y", "y", "y"] * 10, attribute="g")
    assert audit.groups["y"] == {
        "rows": 30,
        "accuracy": pytest.approx(1 / 3),
        "selection_rate[a]": 1,
        "selection_rate[b]": 0,
        "selection_rate[c]": 0,
    }
    assert audit.gaps == pytest.approx({"accuracy": 2 / 3, "demographic_parity_difference": 2 / 3})
    against_the_rest = audit_fairness(true, predicted, ["x", "y"] * 30, attribute="g", positive="a")
    assert against_the_rest.groups["x"]["accuracy"] == pytest.approx(2 / 3)


def test_rows_without_a_group_are_a_group() -> None:
    groups = pd.Series(["AA", None] * 40)
    audit = audit_fairness(["late", "ok"] * 40, ["late", "late"] * 40, groups, attribute="carrier", positive="late")
    assert sorted(audit.groups) == ["(missing)", "AA"]
    assert audit.max_gap == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((["a"], ["a", "b"], ["x"]), "'predicted': 2"),
        (([], [], []), "'true': 0"),
        ((["a", None], ["a", "b"], ["x", "y"]), "labels are missing"),
    ],
)
def test_rows_that_cannot_be_judged_are_refused(arguments: tuple[list[str], ...], message: str) -> None:
    with pytest.raises(InvalidInputError, match=message):
        audit_fairness(*arguments, attribute="g")
    with pytest.raises(InvalidInputError, match="min_group_rows=0"):
        audit_fairness(["a"], ["a"], ["x"], attribute="g", min_group_rows=0)


def test_an_audit_of_an_earlier_version_is_read() -> None:
    old = FairnessAudit.model_validate_json(
        '{"attribute":"carrier","groups":{"AA":{"rows":5.0}},"max_gap":0.02,"note":""}'
    )
    assert (old.max_gap, old.gaps, old.left_out) == (0.02, {}, {})
