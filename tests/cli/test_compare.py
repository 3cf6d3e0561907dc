import json
from math import log

import pytest

from mlops_dagster.cli.models.comparison import SchemaChange, compare
from mlops_dagster.registry import Baseline, EvaluationSlice, ModelRegistry
from mlops_dagster.statistics import CategoricalBins, DesignEffect, Histogram


@pytest.fixture
def pair(registry: ModelRegistry, add, make_card, make_baseline, schemas) -> ModelRegistry:
    add(
        "1.0.0",
        make_card(0.90, {"FR": 0.80, "DE": 0.95, "ES": 0.70, "IT": 0.5}),
        schema=schemas[0],
        baseline=make_baseline(50, 50),
        lineage={"commit": "a", "seed": "1"},
    )
    add(
        "1.1.0",
        make_card(0.92, {"DE": 0.90, "ES": 0.77, "FR": 0.70}, days=60),
        schema=schemas[1],
        baseline=make_baseline(75, 25),
        lineage={"commit": "b", "seed": "1", "run": "7"},
    )
    return registry


def test_metrics_are_of_common_slices_the_largest_difference_first(pair: ModelRegistry) -> None:
    found = compare(pair.get("churn", "1.0.0"), pair.get("churn", "1.1.0"))
    differences = [(each.slice, round(each.difference, 9)) for each in found.metrics if each.metric == "accuracy"]
    assert differences == [("overall", 0.02), ("FR", -0.1), ("ES", 0.07), ("DE", -0.05)]
    assert {(each.first_rows, each.second_rows) for each in found.metrics} == {(500, 500)}
    assert found.schema == SchemaChange(("income",), ("age",), ("country",), task_differs=False)
    assert found.lineage == {"commit": ("a", "b"), "run": (None, "7")}


def test_drift_is_the_psi_between_the_baselines(pair: ModelRegistry) -> None:
    shifts = compare(pair.get("churn", "1.0.0"), pair.get("churn", "1.1.0")).shifts
    assert [(each.name, each.reason) for each in shifts] == [("country", ""), ("(score)", ""), ("(label)", "")]
    assert shifts[0].psi == pytest.approx(0.25 * log(3))  # 0.25 ln 1.5 - 0.25 ln 0.5
    assert shifts[0].noise == pytest.approx(6.6349 * (1 / 100 + 1 / 100), rel=1e-4)  # chi-squared, 1 degree, 0.99
    assert (shifts[1].psi, shifts[2].psi) == (0, 0)


def test_chance_knows_that_rows_share_causes(add) -> None:
    still = Histogram(CategoricalBins(("a", "b")), [0, 50, 50, 0])
    shared = {"wind": DesignEffect(rows=10), "score": DesignEffect(rows=4)}
    versions = [add(name, baseline=Baseline({"wind": still}, still, still, shared)) for name in ("1.0.0", "1.1.0")]
    noise = {each.name: each.noise for each in compare(*versions).shifts}
    assert noise["(label)"] == pytest.approx(6.6349 / 50, rel=1e-4)
    assert (noise["wind"], noise["(score)"]) == pytest.approx((10 * noise["(label)"], 4 * noise["(label)"]))


def test_what_cannot_be_compared_says_why(add) -> None:
    bins, others = CategoricalBins(("a",)), CategoricalBins(("b",))
    still, empty = Histogram(bins, [0, 5, 0]), Histogram(bins, [0, 0, 0])
    before = {"other": still, "gone": still, "empty": still, "same": still}
    after = {"other": Histogram(others, [0, 5, 0]), "empty": empty, "same": still, "new": still}
    found = compare(
        add("1.0.0", baseline=Baseline(before, still, still)), add("1.1.0", baseline=Baseline(after, still, still))
    )
    assert {each.name: (each.psi, each.reason) for each in found.shifts} == {
        "same": (0, ""),
        "(score)": (0, ""),
        "(label)": (0, ""),
        "other": (None, "counted over different bins"),
        "gone": (None, "only in the first"),
        "empty": (None, "nothing was counted"),
        "new": (None, "only in the second"),
    }
    assert [each.psi is None for each in found.shifts] == [False] * 3 + [True] * 4


def test_intervals_of_the_card_are_kept(add, make_card) -> None:
    part = EvaluationSlice(name="overall", rows=9, metrics={"accuracy": 0.9}, intervals={"accuracy": (0.8, 0.95)})
    first, second = add("1.0.0", make_card().model_copy(update={"evaluation": (part,)})), add("1.1.0")
    (accuracy,) = (each for each in compare(first, second).metrics if each.metric == "accuracy")
    assert (accuracy.first_interval, accuracy.second_interval) == ((0.8, 0.95), None)


def test_the_document(pair: ModelRegistry, mlops) -> None:
    found = json.loads(mlops("models", "compare", "churn", "1.0.0", "1.1.0", "--json").stdout)
    assert set(found) == {"first", "second", "same_bytes", "metrics", "schema", "lineage", "drift"}
    assert found["second"]["training_data"] == {
        "dataset": "payments",
        "digest": "ab12",
        "start": "2026-01-01T00:00:00Z",
        "end": "2026-03-02T00:00:00Z",
        "rows": 60000,
    }
    assert set(found["metrics"][0]) == {
        *("slice", "metric", "first", "second", "difference"),
        *("first_interval", "second_interval", "first_rows", "second_rows"),
    }
    assert set(found["drift"][0]) == {"name", "psi", "noise", "reason"}
    assert found["same_bytes"] is False
    assert found["lineage"] == {"commit": {"first": "a", "second": "b"}, "run": {"first": None, "second": "7"}}


def test_the_tables(pair: ModelRegistry, mlops) -> None:
    lines = mlops("models", "compare", "churn", "1.0.0", "1.1.0").stdout.splitlines()
    found = [" ".join(line.split()) for line in lines]
    for line in (
        "period 2026-01-01 to 2026-01-31 2026-01-01 to 2026-03-02",
        "rows 30,000 60,000",
        "only here age income",
        "feature country categorical categorical, never null",
        "lineage commit a b",
        "lineage run - 7",
        "FR accuracy 500 / 500 0.8000 0.7000 -0.1000",
        "country 0.275 0.133 more than chance",
        "(score) 0.000 0.133",
    ):
        assert line in found


def test_little_is_known_of_some(fleet: ModelRegistry, mlops) -> None:
    shown = mlops("models", "compare", "churn", "1.0.0", "2.0.0")
    assert (shown.exit_code, shown.stderr) == (0, "")
    assert "No drift to tell: a version has no baseline." in shown.stdout
    assert "overall accuracy 500 / - 0.9500 0.5000 -0.4500" in [
        " ".join(line.split()) for line in shown.stdout.splitlines()
    ]
    same = json.loads(mlops("models", "compare", "churn", "1.0.0", "1.0.0", "--json").stdout)
    assert (same["same_bytes"], {each["difference"] for each in same["metrics"]}) == (True, {0})
