"""A drift report tells a shift from chance, and says so when it cannot."""

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from pydantic import ValidationError
from scipy import stats

from mlops_dagster.errors import InvalidInputError
from mlops_dagster.monitoring import DriftPolicy, DriftReport, Verdict, drift, label_drift, make_baseline
from mlops_dagster.monitoring.drift.coverage import WHOLE, Coverage
from mlops_dagster.monitoring.drift.labels import histogram_of
from mlops_dagster.registry.entities.baseline import Baseline
from mlops_dagster.retraining.signals import DriftSignal
from mlops_dagster.schema import Feature, ModelSchema
from mlops_dagster.statistics import CategoricalBins, Counts, DesignEffect, Histogram, NumericBins
from mlops_dagster.tasks import Classification
from mlops_dagster.tasks.classification import SCORE_BINS

LABELS = CategoricalBins(("on_time", "late"))
DECILES = NumericBins(tuple(stats.norm.ppf(np.arange(1, 10) / 10)))
NOISE_ONLY = {"monitor": 1e-9, "retrain": 2e-9}
"""Limits so low that noise alone decides."""


def baseline(features: dict[str, Histogram], scores: np.ndarray | None = None) -> Baseline:
    scores = np.linspace(0, 1, 1000) if scores is None else scores
    labels = Histogram(LABELS, np.array([0, 8000, 2000, 0]))
    return Baseline(features, Histogram.of(SCORE_BINS, scores), labels)


def normal_baseline(names: list[str], rng: np.random.Generator, rows_per_value: int = 1) -> Baseline:
    return baseline({name: Histogram.of(DECILES, rng.normal(size=50_000).repeat(rows_per_value)) for name in names})


def judge(reference: Baseline, rows: dict[str, np.ndarray], policy: DriftPolicy) -> DriftReport:
    counts: dict[str, Counts] = {name: reference.features[name].bins.count(values) for name, values in rows.items()}
    return drift(reference, counts, policy)


def test_psi_and_noise_are_those_of_the_definition() -> None:
    bins = NumericBins((0.0, 1.0))
    report = drift(
        baseline({"x": Histogram(bins, np.array([0, 500, 300, 200]))}),
        {"x": np.array([0, 100, 100, 200])},
        DriftPolicy(),
    )
    # shares .5 .3 .2 -> .25 .25 .5, by hand
    by_hand = -0.25 * np.log(0.5) - 0.05 * np.log(0.25 / 0.3) + 0.3 * np.log(2.5)
    (found,) = report.features
    assert found.psi == pytest.approx(by_hand)
    assert found.noise == pytest.approx(9.2103 * (1 / 1000 + 1 / 400), rel=1e-4)  # chi-squared table: 2 dof, 1 %
    assert (found.verdict, report.verdict, report.drifted, report.rows) == ("retrain", "retrain", ("x",), 400)


@pytest.mark.parametrize(("rows", "rows_per_value", "most"), [(1000, 1, 33), (1000, 10, 33), (200, 1, 53)])
def test_chance_starts_nothing_however_many_features_are_looked_at(rows: int, rows_per_value: int, most: int) -> None:
    """Of 400 reports under one distribution 5 % may show something: 20, and three standard deviations.

    With the fewest rows that the default policy accepts it may be up to twice as many; without a correction
    for ten features it would be 160.
    """
    rng = np.random.default_rng(rows_per_value)
    names = [f"f{i}" for i in range(10)]
    reference = normal_baseline(names, rng, rows_per_value)
    policy = DriftPolicy(alpha=0.05, rows_per_observation=dict.fromkeys(names, rows_per_value), **NOISE_ONLY)
    alarms = 0
    for _ in range(400):
        values = {name: rng.normal(size=rows).repeat(rows_per_value) for name in names}
        alarms += judge(reference, values, policy).verdict is Verdict.RETRAIN
    assert 0 < alarms <= most


def test_rows_that_share_a_value_look_like_drift_unless_the_policy_says_so() -> None:
    rng = np.random.default_rng(3)
    reference = normal_baseline(["visibility"], rng)
    rows = {"visibility": rng.normal(size=12).repeat(80)}
    assert judge(reference, rows, DriftPolicy()).verdict is Verdict.RETRAIN
    report = judge(reference, rows, DriftPolicy(rows_per_observation={"visibility": 80}))
    assert report.verdict is Verdict.INCONCLUSIVE
    assert report.features[0].reason == "12 independent rows, 15 are needed"


def test_a_psi_over_its_limit_but_within_its_noise_cannot_tell() -> None:
    reference = baseline({"x": Histogram(NumericBins((0.0,)), np.array([0, 500, 500]))})
    report = drift(reference, {"x": np.array([0, 12, 4])}, DriftPolicy(min_rows=10))
    (found,) = report.features
    assert found.psi is not None
    assert found.noise is not None
    assert 0.25 < found.psi < found.noise
    assert found.verdict is report.verdict is Verdict.INCONCLUSIVE
    assert "noise" in found.reason


def test_the_gravest_feature_that_is_not_advisory_decides() -> None:
    rng = np.random.default_rng(5)
    reference = normal_baseline(["temp", "delay", "hour"], rng)
    rows = {"temp": rng.normal(3, size=2000), "delay": rng.normal(0.4, size=2000), "hour": rng.normal(size=2000)}
    alone = judge(reference, rows, DriftPolicy())
    assert {each.name: each.verdict.value for each in alone.features} == {
        "temp": "retrain",
        "delay": "monitor",
        "hour": "stable",
    }
    assert (alone.verdict, alone.drifted) == (Verdict.RETRAIN, ("temp",))
    advised = judge(reference, rows, DriftPolicy(report_only=("temp",)))
    assert (advised.verdict, advised.drifted) == (Verdict.MONITOR, ())
    assert [each.psi for each in advised.features] == [each.psi for each in alone.features]


def test_no_rows_is_no_all_clear() -> None:
    report = drift(normal_baseline(["x"], np.random.default_rng(0)), {}, DriftPolicy())
    assert (report.verdict, report.rows, report.score.ks, report.score.elevated) == (
        Verdict.INCONCLUSIVE,
        0,
        None,
        False,
    )


def test_missing_values_and_new_categories_are_drift() -> None:
    carriers = Histogram(CategoricalBins(("AA", "UA")), np.array([0, 500, 500, 0]))
    report = drift(
        baseline({"gone": carriers, "new": carriers, "same": carriers}),
        {"gone": np.array([300, 350, 350, 0]), "new": np.array([0, 350, 350, 300]), "same": carriers.counts},
        DriftPolicy(),
    )
    assert report.drifted == ("gone", "new")


def test_scores_are_elevated_over_the_limit_and_the_noise_only() -> None:
    rng = np.random.default_rng(7)
    feature = Histogram(NumericBins((0.0,)), np.array([0, 500, 500]))
    reference = baseline({"x": feature}, rng.beta(2, 8, size=20_000))

    def scored(scores: np.ndarray, **policy: float) -> DriftReport:
        counts = {"x": feature.counts, "score": SCORE_BINS.count(scores)}
        return drift(reference, counts, DriftPolicy(**policy))  # type: ignore[arg-type]  # floats only here

    same, moved = rng.beta(2, 8, size=900), rng.beta(2.4, 7.6, size=900)
    calm, high = scored(same), scored(moved)
    assert calm.score.ks is not None
    assert high.score.ks is not None
    assert (calm.score.elevated, calm.verdict) == (False, Verdict.STABLE)
    assert (high.score.elevated, high.verdict) == (True, Verdict.MONITOR)
    exact = stats.ks_2samp(rng.beta(2, 8, size=200_000), moved).statistic
    assert high.score.ks.statistic == pytest.approx(exact, abs=0.03)
    few = scored(moved[:60])  # a D like this is nothing for 60 rows
    assert few.score.ks is not None
    assert (few.score.ks.statistic > 0.1, few.score.elevated) == (True, False)


def test_scores_that_missing_hours_explain_are_not_elevated_and_the_page_says_why() -> None:
    rng = np.random.default_rng(7)
    feature = Histogram(NumericBins((0.0,)), np.array([0, 500, 500]))
    reference = baseline({"x": feature}, rng.beta(2, 8, size=20_000))
    counts = {"x": feature.counts, "score": SCORE_BINS.count(rng.beta(2.6, 7.4, size=3000))}
    whole, partly = (
        drift(reference, counts, DriftPolicy(), hours=24, coverage={"score": covered})
        for covered in (WHOLE, Coverage(18, 24, 0.75))
    )
    assert (whole.score.elevated, whole.score.reason) == (True, "")
    assert not partly.score.elevated
    assert "inconclusive: over its limit, but the window covers 18 of 24 hours" in partly.why


def test_scores_of_rare_events_are_told_apart() -> None:
    """A probability of one in two thousand that triples: the exact distance is 0.57."""
    rng = np.random.default_rng(12)
    before, after = rng.beta(5, 9995, size=20_000), rng.beta(15, 9985, size=2000)
    feature = Histogram.of(NumericBins((0.0,)), [1.0] * 2000)
    report = drift(
        baseline({"x": feature}, before), {"x": feature.counts, "score": SCORE_BINS.count(after)}, DriftPolicy()
    )
    assert report.score.ks is not None
    assert report.score.elevated
    assert report.score.ks.statistic == pytest.approx(stats.ks_2samp(before, after).statistic, abs=0.1)


@pytest.mark.parametrize("values", [[0.5, 2] * 50, ["a", ("b",)] * 50])
def test_a_categorical_feature_that_holds_what_has_no_text_is_refused(values: list[object]) -> None:
    schema = ModelSchema(
        features=(Feature(name="plan", kind="categorical"),), task=Classification(classes=("no", "yes"))
    )
    with pytest.raises(InvalidInputError, match=r"50 of 100 values of 'plan' are neither texts, whole numbers nor"):
        make_baseline(pd.DataFrame({"plan": values}), schema, scores=[0.5], labels=["no"] * 100)


def test_the_report_is_json_and_reaches_retraining() -> None:
    rng = np.random.default_rng(9)
    report = judge(normal_baseline(["x"], rng), {"x": rng.normal(2, size=500)}, DriftPolicy())
    stored = json.loads(json.dumps(report.metadata()))
    signal = DriftSignal.of(report)
    assert (signal.verdict, signal.features, signal.psi) == ("retrain", ("x",), {"x": report.features[0].psi})
    assert signal.numbers["limit"] == "0.25"
    assert stored["independent_rows"] == {"x": 500}
    assert stored["worst_psi"] == stored["psi"]["x"]
    assert stored["psi"]["x"] == pytest.approx(report.features[0].psi, abs=1e-4)
    assert [row["feature"] for row in report.table()] == ["x"]


def test_labels_need_significance_and_size() -> None:
    reference = normal_baseline(["x"], np.random.default_rng(0))
    policy = DriftPolicy()

    doubled = label_drift(reference, histogram_of(reference.label.bins, {"late": 400, "on_time": 600}), policy)
    contingency = stats.chi2_contingency([[8000, 2000], [600, 400]], correction=False)
    assert doubled.test is not None
    assert doubled.test.statistic == pytest.approx(contingency.statistic)
    assert doubled.test.pvalue == pytest.approx(contingency.pvalue)
    assert (doubled.verdict, doubled.shares["late"]) == (Verdict.MONITOR, (0.2, 0.4))

    significant_but_small = label_drift(
        reference, histogram_of(reference.label.bins, {"late": 2500, "on_time": 7500}), policy
    )
    assert significant_but_small.test is not None
    assert significant_but_small.test.pvalue < 1e-6
    assert significant_but_small.verdict is Verdict.STABLE

    clustered = label_drift(
        reference,
        histogram_of(reference.label.bins, {"late": 400, "on_time": 600}),
        DriftPolicy(min_rows=50, rows_per_observation={"label": 10}),
    )
    assert clustered.test is not None
    assert clustered.test.statistic == pytest.approx(contingency.statistic / 10)
    assert clustered.verdict is Verdict.MONITOR
    few_days = label_drift(
        reference,
        histogram_of(reference.label.bins, {"late": 400, "on_time": 600}),
        DriftPolicy(min_rows=5, rows_per_observation={"label": 100}),
    )
    assert (few_days.psi, few_days.verdict) == (doubled.psi, Verdict.INCONCLUSIVE)
    shared = replace(reference, design_effects={"label": DesignEffect(rows=3.0, rows_per_day=50.0)})
    week = label_drift(shared, histogram_of(reference.label.bins, {"late": 400, "on_time": 600}), policy, hours=240)
    assert week.test is not None
    assert week.test.statistic == pytest.approx(contingency.statistic / 5)  # 100 rows a day: 1 + 2 * 100 / 50
    assert few_days.metadata()["reason"] == "over a limit, but by chance alone it may be as well"
    few = label_drift(reference, histogram_of(reference.label.bins, {"late": 3}), policy)
    assert (few.verdict, few.reason) == (Verdict.INCONCLUSIVE, "3 independent rows, 15 are needed")
    assert label_drift(reference, histogram_of(reference.label.bins, {"late": 1000}), policy).verdict is Verdict.RETRAIN


def test_advisory_features_make_the_others_neither_weaker_nor_stronger() -> None:
    """Beside many that drift, Benjamini-Hochberg would judge the others at nearly twice the level; beside many that do
    not, at a fraction of it."""
    rng = np.random.default_rng(25)
    names = [f"f{number}" for number in range(9)]
    reference = normal_baseline(["amount", *names], rng)
    policy = DriftPolicy(report_only=tuple(names))
    amount = rng.normal(0.1, size=1000)
    alone = judge(normal_baseline(["amount"], np.random.default_rng(25)), {"amount": amount}, DriftPolicy())
    for shift in (0, 3):
        rows = {"amount": amount, **{name: rng.normal(shift, size=1000) for name in names}}
        found = judge(reference, rows, policy)
        assert found.features[0].noise == alone.features[0].noise
        assert judge(reference, rows, DriftPolicy()).features[0].noise != alone.features[0].noise
        assert found.verdict is Verdict.STABLE
        assert all((each.noise or 0) > 0 for each in found.features)


@pytest.mark.parametrize(
    ("share", "verdict", "said"),
    [
        (0.05, "stable", ""),
        (0.3, "stable", "30% of the rows are in categories without a cell, among which nothing is seen"),
        (0.9, "inconclusive", "90% of the rows are in categories without a cell, among which nothing is seen"),
    ],
)
def test_categories_that_are_not_told_apart_are_said(share: float, verdict: str, said: str) -> None:
    other = int(1000 * share)
    merchants = Histogram(CategoricalBins(("a", "b")), np.array([0, 1000 - other, 0, other]))
    found = drift(baseline({"merchant": merchants}), {"merchant": merchants.counts}, DriftPolicy()).metadata()
    assert found["verdicts"] == {"merchant": verdict}
    assert found["reasons"] == ({"merchant": said} if said else {})


NUMBER = ModelSchema(features=(Feature(name="x", kind="numeric"),), task=Classification(classes=("a", "b")))
WORD = ModelSchema(features=(Feature(name="x", kind="categorical"),), task=Classification(classes=("a", "b")))


def trained(values: np.ndarray, schema: ModelSchema, before: Baseline | None = None) -> Baseline:
    bins = None if before is None else {"x": before.features["x"].bins}
    frame = pd.DataFrame({"x": values})
    return make_baseline(frame, schema, scores=[0.5] * len(values), labels=["a"] * len(values), bins=bins)


@pytest.mark.parametrize(
    ("schema", "drawn"),
    [
        (NUMBER, lambda rng, step: rng.normal(6 * step, size=5000)),
        (NUMBER, lambda rng, step: rng.lognormal(2.5 * step, 0.5, size=5000)),
        (NUMBER, lambda rng, step: rng.normal(-6 * step, size=5000)),
        (NUMBER, lambda rng, step: np.where(rng.random(5000) < 0.3, 5.0**step, 0.0)),  # a flag
        (WORD, lambda rng, step: rng.choice([f"{step}{n}" for n in range(8)], size=5000)),
    ],
)
def test_what_drifts_again_after_retraining_is_seen(schema: ModelSchema, drawn) -> None:
    rng = np.random.default_rng(20)
    first = trained(drawn(rng, 0), schema)
    second = trained(drawn(rng, 1), schema, first)
    for reference, step in ((first, 1), (second, 2)):
        assert judge(reference, {"x": drawn(rng, step)}, DriftPolicy()).verdict is Verdict.RETRAIN
        assert judge(reference, {"x": drawn(rng, step - 1)}, DriftPolicy()).verdict is Verdict.STABLE


@pytest.mark.parametrize(
    "later",
    [
        np.random.default_rng(21).normal(0.8, size=5000),  # drift, but within its bins
        np.full(5000, 0.7),  # one value is known to be it, in a cell that has two ends
        np.full(5000, np.nan),
    ],
)
def test_what_its_bins_tell_apart_keeps_them(later: np.ndarray) -> None:
    first = trained(np.random.default_rng(22).normal(size=5000), NUMBER)
    assert trained(later, NUMBER, first).features["x"].bins == first.features["x"].bins


def test_more_categories_than_cells_change_no_bins() -> None:
    """New ones would leave as much out."""
    rng = np.random.default_rng(23)
    first, later = (trained(rng.integers(2000, size=5000).astype(str).astype(object), WORD) for _ in range(2))
    kept = trained(rng.integers(2000, size=5000).astype(str).astype(object), WORD, first)
    assert kept.features["x"].bins == first.features["x"].bins != later.features["x"].bins


def test_counts_in_other_bins_are_refused() -> None:
    with pytest.raises(InvalidInputError, match="cells"):
        drift(normal_baseline(["x"], np.random.default_rng(0)), {"x": np.array([1, 2])}, DriftPolicy())


@pytest.mark.parametrize("policy", [{"monitor": 0.3}, {"rows_per_observation": {"x": 0.5}}, {"retrian": 0.3}])
def test_a_policy_that_contradicts_itself_is_refused(policy: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        DriftPolicy.model_validate(policy)
