"""PSI: hand calculations, its known distribution, and the same number from samples and from counts."""

from math import log

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import chi2

from mlops_dagster.errors import InvalidInputError
from mlops_dagster.statistics import (
    CategoricalBins,
    Histogram,
    NumericBins,
    coarsen,
    psi,
    psi_from_counts,
    psi_noise,
    psi_of_groups,
)

counts_of_four_cells = st.lists(st.integers(0, 1000), min_size=4, max_size=4).filter(any)
FINE = NumericBins((0.0, 1.0))


def test_golden_value_by_hand():
    # shares .1 .2 .3 .4 against .4 .3 .2 .1 over four distinct values
    reference, current = np.repeat([1, 2, 3, 4], [10, 20, 30, 40]), np.repeat([1, 2, 3, 4], [40, 30, 20, 10])
    assert psi(reference, current) == pytest.approx(2 * 0.3 * log(4) + 2 * 0.1 * log(1.5))


def test_golden_value_of_a_shifted_normal_distribution():
    # Independent of our bins: textbook PSI over numpy's deciles and histogram.
    rng = np.random.default_rng(3)
    reference, current = rng.normal(size=20_000), rng.normal(0.5, 1.2, size=30_000)
    edges = [-np.inf, *np.quantile(reference, np.linspace(0.1, 0.9, 9)), np.inf]
    p, q = np.histogram(reference, edges)[0] / 20_000, np.histogram(current, edges)[0] / 30_000
    expected = np.sum((q - p) * np.log(q / p))
    assert psi(reference, current) == pytest.approx(expected, rel=1e-12)
    fine = NumericBins.fit(reference)
    coarse = psi_from_counts(Histogram.of(fine, reference), Histogram.of(fine, current))
    assert coarse == pytest.approx(expected, rel=1e-12)


def test_missing_values_are_a_group():
    # shares: missing 0 -> .5/100 against .2, the rest 1 against .8
    expected = (0.2 - 0.005) * log(0.2 / 0.005) + (0.8 - 1) * log(0.8)
    assert psi([1.0] * 100, [1.0] * 80 + [None] * 20) == pytest.approx(expected)
    assert psi(["a"] * 100, ["a"] * 80 + [None] * 20) == pytest.approx(expected)


def test_unseen_categories_are_a_group():
    expected = (0.2 - 0.005) * log(0.2 / 0.005) + (0.8 - 1) * log(0.8)
    assert psi(["a"] * 100, ["a"] * 80 + ["b", "c"] * 10) == pytest.approx(expected)


@pytest.mark.parametrize("beyond", [5, -3, np.inf, -np.inf])
def test_numbers_beyond_a_few_are_a_group(beyond):
    expected = (0.2 - 0.005) * log(0.2 / 0.005) + (0.3 - 0.5) * log(0.3 / 0.5)
    before, after = [0, 1] * 50, [0] * 50 + [1] * 30 + [beyond] * 20
    assert psi(before, after) == pytest.approx(expected)
    fine = NumericBins.fit(before)
    assert psi_from_counts(Histogram.of(fine, before), Histogram.of(fine, after)) == pytest.approx(expected)


def test_ten_numbers_keep_a_group_each_and_two_for_what_is_beyond():
    before, after = [*range(10)] * 10, [-1, *range(10), 10] * 10
    assert [
        len(each) for each in coarsen(*(Histogram.of(NumericBins.fit(before), each) for each in (before, after)))
    ] == [12, 12]


def test_all_missing_compares_with_either_kind():
    assert psi([None] * 10, [1.0] * 10) > 1
    assert psi(["a"] * 10, [None] * 10) > 1
    assert psi([None] * 10, [None] * 10) == 0
    assert psi([None, "a"], [float("nan"), "a"]) == 0


@given(counts_of_four_cells, counts_of_four_cells)
def test_it_is_never_negative_and_symmetric_in_its_groups(before, after):
    reference, current = Histogram(FINE, np.array(before)), Histogram(FINE, np.array(after))
    value = psi_from_counts(reference, current)
    assert 0 <= value < np.inf
    assert value == pytest.approx(psi_from_counts(current, reference))


@given(counts_of_four_cells, st.integers(1, 50))
def test_more_of_the_same_is_no_drift(before, times):
    reference = Histogram(FINE, np.array(before))
    assert psi_from_counts(reference, Histogram(FINE, times * reference.counts)) == pytest.approx(0, abs=1e-12)


def test_fine_cells_are_merged_into_quantile_groups():
    fine = NumericBins(tuple(float(edge) for edge in range(1, 100)))
    reference = Histogram.of(fine, [*range(100), None])
    before, after = coarsen(reference, Histogram.of(fine, [5, 15, 15, 99]), 10)
    assert before.tolist() == [1] + [10] * 10
    assert after.tolist() == [0, 1, 2, 0, 0, 0, 0, 0, 0, 0, 1]


def test_a_frequent_value_is_not_merged_with_its_neighbours():
    fine = NumericBins(tuple(float(edge) for edge in range(1, 12)))
    reference = Histogram.of(fine, [*range(11), *[11] * 89])
    assert coarsen(reference, reference, 10)[0].tolist() == [10, 1, 89]


def test_rare_categories_are_merged_but_unseen_ones_stay_apart():
    many = CategoricalBins(tuple("abcdef"))
    reference = Histogram.of(many, list("aaaabbbccddeeff"))
    before, after = coarsen(reference, Histogram.of(many, ["z", "f"]), 3)
    assert before.tolist() == [4, 3, 4, 4, 0]  # a, b, c and d, e and f, z
    assert after.tolist() == [0, 0, 0, 1, 1]


def test_noise_is_what_samples_of_one_distribution_reach():
    # 4,000 pairs of samples: 1 % of them, give or take three standard errors, are above the noise level.
    rng = np.random.default_rng(4)
    n, m = 2_000, 500
    p, q = rng.multinomial(n, [0.1] * 10, 4_000) / n, rng.multinomial(m, [0.1] * 10, 4_000) / m
    values = np.sum((q - p) * np.log(q / p), axis=1)
    level = psi_noise(10, n, m, alpha=0.01)
    assert level == pytest.approx(chi2.isf(0.01, 9) * (1 / n + 1 / m))
    assert np.mean(values > level) == pytest.approx(0.01, abs=0.005)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: psi([], [1.0]), "0 in the reference"),
        (lambda: psi([1.0], []), "0 now"),
        (lambda: psi([1.0], ["a"]), "numbers with numbers"),
        (lambda: psi([1.0], [1.0], bins=1), "two or more bins"),
        (lambda: psi_from_counts(Histogram.of(FINE, [1]), Histogram.of(NumericBins(()), [1])), "different bins"),
        (lambda: psi_noise(10, 0, 5), "must be positive"),
    ],
)
def test_nonsense_is_refused(call, message):
    with pytest.raises(InvalidInputError, match=message):
        call()


LONG_TAIL = 1 / np.arange(1, 151) ** 1.1
ALIKE = np.ones(40)


@pytest.mark.parametrize("weights", [LONG_TAIL, ALIKE, np.r_[171, np.ones(19)]])
@pytest.mark.parametrize(("rows", "later"), [(500, 500), (1000, 1000), (1000, 20_000)])
def test_categories_that_a_small_reference_chose_do_not_drift(weights: np.ndarray, rows: int, later: int) -> None:
    """Of 150 comparisons under one distribution 1 % are over the noise: 2, and with the few rows of rare categories and
    three standard deviations 10. When the reference chose it was 20 to 150, with a PSI over 0.25 for the tail."""
    rng = np.random.default_rng(rows + later)
    names = rng.permutation([f"k{number:03}" for number in range(len(weights))])
    over = []
    for _ in range(150):
        reference, current = (rng.choice(names, size=size, p=weights / weights.sum()) for size in (rows, later))
        bins, counts = CategoricalBins.fit_and_count(reference)
        groups = coarsen(Histogram(bins, counts), Histogram.of(bins, current))
        found = psi_of_groups(*groups)
        over.append(found > psi_noise(len(groups[0]), rows, later))
        assert found < 0.25
    assert sum(over) <= 10


def test_what_moves_among_many_categories_is_seen() -> None:
    """Of 40 equal ones ten double and ten vanish: none of them is among the nine that are most frequent before."""
    names = [f"k{number:02}" for number in range(40)]
    reference, current = ["k05"] * 9 + names * 100, ["k05"] * 9 + (names[:20] + names[20:30] * 2) * 100
    assert psi(reference, current) > 0.25


def test_a_new_category_is_drift_also_of_few_rows() -> None:
    before = ["AA"] * 150 + ["UA"] * 149 + ["ZZ"]
    assert psi(before, before) == 0.0
    assert psi(before, ["AA"] * 150 + ["UA"] * 120 + ["NEW"] * 30) > 0.25
