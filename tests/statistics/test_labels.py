"""Chi-squared, classification metrics, the Wilson interval and Benjamini-Hochberg against scipy and scikit-learn."""

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy.stats import binomtest, chi2_contingency, false_discovery_control
from sklearn.metrics import accuracy_score, f1_score, precision_recall_fscore_support

from mlops_dagster.errors import InvalidInputError
from mlops_dagster.statistics import (
    ChiSquaredResult,
    benjamini_hochberg,
    chi_squared,
    chi_squared_from_counts,
    classification_metrics,
    metrics_from_confusion,
    wilson_interval,
)

tables = st.lists(st.tuples(st.integers(0, 500), st.integers(0, 500)), min_size=2, max_size=8)
labelled = st.lists(st.tuples(st.sampled_from("abcd"), st.sampled_from("abcd")), min_size=1, max_size=50)
pvalues = st.lists(st.floats(0, 1), max_size=30)


@given(tables)
def test_chi_squared_is_that_of_scipy(table):
    before, after = zip(*table, strict=True)
    seen = [pair for pair in table if any(pair)]
    assume(sum(before) and sum(after) and len(seen) > 1)
    expected = chi2_contingency(np.array(seen).T, correction=False)
    result = chi_squared_from_counts(before, after)
    assert result == pytest.approx((expected.statistic, expected.dof, expected.pvalue))


def test_chi_squared_of_labels():
    # 6.6667 = 4 * 5^2 / 15: expected counts are 15 everywhere
    assert chi_squared([1] * 10 + [0] * 20, [0] * 10 + [1] * 20).statistic == pytest.approx(20 / 3)
    assert chi_squared(["a", "b"], ["c", "c"]).dof == 2
    assert chi_squared(["a"] * 3, ["a"] * 9) == ChiSquaredResult(0.0, 0, 1.0)
    with pytest.raises(InvalidInputError, match="both sides need labels"):
        chi_squared([], ["a"])
    with pytest.raises(InvalidInputError, match="unhashable type: 'list'"):
        chi_squared([["a"]], ["a"])
    with pytest.raises(InvalidInputError, match="count for each label"):
        chi_squared_from_counts([1, 2], [1, 2, 3])


@given(labelled)
def test_metrics_are_those_of_scikit_learn(rows):
    true, predicted = map(list, zip(*rows, strict=True))
    metrics = classification_metrics(true, predicted)
    assert metrics.accuracy == pytest.approx(accuracy_score(true, predicted))
    assert metrics.micro_f1 == pytest.approx(f1_score(true, predicted, average="micro"))
    assert metrics.macro_f1 == pytest.approx(f1_score(true, predicted, average="macro", zero_division=0))
    labels = list(metrics.per_class)
    assert labels == sorted({*true, *predicted})
    expected = precision_recall_fscore_support(true, predicted, labels=labels, zero_division=0)
    for label, precision, recall, f1, support in zip(labels, *expected, strict=True):
        scores = metrics.per_class[label]
        assert (scores.precision, scores.recall, scores.f1, scores.support) == pytest.approx(
            (precision, recall, f1, support)
        )


def test_labels_of_any_type_are_named():
    assert list(classification_metrics(np.array([0, 1]), np.array([0, 0])).per_class) == ["0", "1"]
    assert list(classification_metrics([True], [False]).per_class) == ["False", "True"]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: classification_metrics([], []), "at least one row"),
        (lambda: classification_metrics(["a"], ["a", "b"]), "each row"),
        (lambda: classification_metrics(["a", None], ["a", "b"]), "missing"),
        (lambda: classification_metrics([1.0, float("nan")], [1.0, 1.0]), "missing"),
        (lambda: metrics_from_confusion({}), "at least one row"),
        (lambda: wilson_interval(2, 1), "no interval"),
        (lambda: benjamini_hochberg([float("nan")], 0.05), "between 0 and 1"),
    ],
)
def test_nonsense_is_refused(call, message):
    with pytest.raises(InvalidInputError, match=message):
        call()


@given(st.integers(1, 400), st.data(), st.sampled_from([0.8, 0.95, 0.999]))
def test_wilson_interval_is_that_of_scipy(n, data, confidence):
    successes = data.draw(st.integers(0, n))
    expected = binomtest(successes, n).proportion_ci(confidence, method="wilson")
    assert wilson_interval(successes, n, confidence) == pytest.approx((expected.low, expected.high), abs=1e-12)
    assert wilson_interval(0, 0) == (0.0, 1.0)


@given(pvalues, st.sampled_from([0.01, 0.05, 0.2]))
def test_benjamini_hochberg_is_that_of_scipy(p, alpha):
    adjusted = false_discovery_control(p) if p else np.array([])
    assume((np.abs(adjusted - alpha) > 1e-12).all())  # a tie with alpha is decided by rounding
    assert benjamini_hochberg(p, alpha) == (adjusted <= alpha).tolist()


def test_benjamini_hochberg_of_its_authors():
    # Benjamini & Hochberg 1995, section 3.2: fifteen p-values, of which the four smallest are rejected at 0.05.
    p = [0.0001, 0.0004, 0.0019, 0.0095, 0.0201, 0.0278, 0.0298, 0.0344, 0.0459]
    p += [0.3240, 0.4262, 0.5719, 0.6528, 0.7590, 1.0]
    assert benjamini_hochberg(p, 0.05) == [True] * 4 + [False] * 11
