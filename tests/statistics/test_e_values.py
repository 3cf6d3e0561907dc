"""E-values: hand calculations, and their expectation under the hypothesis summed over all that can happen."""

from itertools import product
from math import comb, factorial, inf, log

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlops_dagster.errors import InvalidInputError
from mlops_dagster.statistics import CanaryStep, anytime_p, bad_event_e_value, combine, paired_e_value, rate_e_value

ALTERNATIVES = st.sampled_from(["worse", "not_worse"])
SHARES = st.sampled_from([0.01, 0.05, 0.2, 0.5, 0.9])
WORSE, NOT_WORSE, FRACTIONS = (1.25, 1.5, 2, 3, 5, 10), (0.9, 0.8, 0.65, 0.4), (0.05, 0.1, 0.2, 0.35, 0.6)


def canary_odds(share, ratio):
    """How probable it is that a bad event is the canary's, if it fails `ratio` times as often."""
    return share * ratio / (1 - share + share * ratio)


def test_bad_events_by_hand():
    # two stages, written out as the likelihood ratio of each single event
    expected = 0.0
    for bet in WORSE:
        e = 1.0
        for q0, canary_bad, all_bad in [(0.01, 2, 10), (0.2, 3, 5)]:
            tilted = q0 * bet / (1 - q0 + q0 * bet)
            e *= (tilted / q0) ** canary_bad * ((1 - tilted) / (1 - q0)) ** (all_bad - canary_bad)
        expected += e / len(WORSE)
    assert bad_event_e_value([CanaryStep(0.01, 2, 10), CanaryStep(0.2, 3, 5)]) == pytest.approx(expected)


def test_not_worse_by_hand():
    # half of the traffic, max_ratio 1.5: q0 = 0.6; of 40 bad events 10 are the canary's
    expected = sum(bet**10 / (0.4 + 0.6 * bet) ** 40 for bet in NOT_WORSE) / len(NOT_WORSE)
    assert bad_event_e_value([CanaryStep(0.5, 10, 40)], max_ratio=1.5, alternative="not_worse") == pytest.approx(
        expected
    )


def test_rate_by_hand():
    expected = sum(bet**6 / (0.99 + 0.01 * bet) ** 200 for bet in WORSE) / len(WORSE)
    assert rate_e_value(6, 200, limit=0.01) == pytest.approx(expected)


def test_paired_by_hand():
    wins, losses, ties, margin = 3, 9, 88, 0.02
    worse = not_worse = 0.0
    for fraction in FRACTIONS:
        nu = fraction / 1.02
        worse += (1 + nu * 0.98) ** losses * (1 - nu * 0.02) ** ties * (1 - nu * 1.02) ** wins / 5
        nu = -fraction / 0.98
        not_worse += (1 + nu * 0.98) ** losses * (1 - nu * 0.02) ** ties * (1 - nu * 1.02) ** wins / 5
    assert paired_e_value(wins, losses, ties, margin=margin) == pytest.approx(worse)
    assert paired_e_value(wins, losses, ties, margin=margin, alternative="not_worse") == pytest.approx(not_worse)


@settings(max_examples=40)
@given(SHARES, SHARES, st.sampled_from([1.0, 1.2, 2.0]), ALTERNATIVES, st.sampled_from([1.0, 0.8, 0.3]))
def test_bad_events_expect_no_gain_under_the_hypothesis(first, second, max_ratio, alternative, inside):
    # All outcomes of five events in one stage and four in the next; `inside` moves from the edge of the hypothesis
    # into it, where the expectation may only be smaller.
    ratio = max_ratio * inside if alternative == "worse" else max_ratio / inside
    expectation = 0.0
    for a, b in product(range(6), range(5)):
        q, r = canary_odds(first, ratio), canary_odds(second, ratio)
        probability = comb(5, a) * q**a * (1 - q) ** (5 - a) * comb(4, b) * r**b * (1 - r) ** (4 - b)
        stages = [CanaryStep(first, a, 5), CanaryStep(second, b, 4)]
        expectation += probability * bad_event_e_value(stages, max_ratio=max_ratio, alternative=alternative)
    assert expectation == pytest.approx(1) if inside == 1 else expectation < 1


@given(st.sampled_from([0.001, 0.01, 0.3]), st.sampled_from([1.0, 0.5]), st.integers(1, 15))
def test_rates_expect_no_gain_under_the_limit(limit, inside, n):
    p = limit * inside
    expectation = sum(
        comb(n, bad) * p**bad * (1 - p) ** (n - bad) * rate_e_value(bad, n, limit=limit) for bad in range(n + 1)
    )
    assert expectation == pytest.approx(1) if inside == 1 else expectation < 1


@settings(max_examples=40)
@given(
    st.sampled_from([-0.05, 0.0, 0.02, 0.2]),
    st.sampled_from([0.3, 0.6]),
    ALTERNATIVES,
    st.sampled_from([0, 0.1]),
    st.sampled_from([1, 1.5, 20]),
)
def test_pairs_expect_no_gain_under_the_hypothesis(margin, disagreement, alternative, inside, rows):
    # `rows` of one row an observation only lose by it: the mean of a root is at most the root of the mean
    loss = margin - inside if alternative == "worse" else margin + inside  # accuracy the challenger really loses
    p, q = (disagreement + loss) / 2, (disagreement - loss) / 2  # of a loss, of a win
    n = 8
    expectation = 0.0
    for losses in range(n + 1):
        for wins in range(n + 1 - losses):
            ties = n - losses - wins
            ways = factorial(n) / factorial(losses) / factorial(wins) / factorial(ties)
            probability = ways * p**losses * q**wins * (1 - p - q) ** ties
            expectation += probability * paired_e_value(
                wins, losses, ties, margin=margin, alternative=alternative, rows_per_observation=rows
            )
    assert expectation == pytest.approx(1) if (inside, rows) == (0, 1) else expectation < 1


@given(*[st.integers(0, 10**4)] * 3, st.floats(1, 1000), ALTERNATIVES)
def test_rows_per_observation_divide_the_counts(wins, losses, ties, rows, alternative):
    divided = [count / rows for count in (wins, losses, ties)]
    together = paired_e_value(wins, losses, ties, margin=0.02, alternative=alternative, rows_per_observation=rows)
    assert together == pytest.approx(paired_e_value(*divided, margin=0.02, alternative=alternative), rel=1e-6)


@given(st.integers(0, 10**6), st.integers(0, 10**6), st.integers(0, 10**6), ALTERNATIVES)
def test_any_counts_give_an_e_value(a, b, c, alternative):
    assert 0 <= paired_e_value(a, b, c, margin=0.02, alternative=alternative) <= inf
    assert 0 <= bad_event_e_value([CanaryStep(0.05, a, a + b)], alternative=alternative) <= inf
    assert 0 <= rate_e_value(a, a + b, limit=0.01) <= inf


@given(st.integers(1, 50), st.integers(0, 50), ALTERNATIVES)
def test_swapping_the_versions_swaps_the_alternatives(wins, losses, alternative):
    # at margin 0 "the challenger is worse" is "the champion is superior"
    other = "not_worse" if alternative == "worse" else "worse"
    assert paired_e_value(wins, losses, 100, margin=0, alternative=alternative) == pytest.approx(
        paired_e_value(losses, wins, 100, margin=0, alternative=other)
    )


def test_evidence_too_large_for_a_float_is_infinite_and_small_one_is_exact():
    assert rate_e_value(10_000, 10_000, limit=0.01) == inf
    assert anytime_p(inf) == 0
    assert log(rate_e_value(0, 10_000, limit=0.01)) == pytest.approx(-10_000 * log(1.0025) - log(6), abs=1e-6)
    assert rate_e_value(0, 10**9, limit=0.01) == 0


def test_stages_without_traffic_say_nothing():
    events = CanaryStep(0.05, 3, 20)
    with_idle_stages = [CanaryStep(0, 0, 50), events, CanaryStep(1, 7, 7), CanaryStep(0.2, 0, 0)]
    assert bad_event_e_value(with_idle_stages) == pytest.approx(bad_event_e_value([events]))


def test_anytime_p_and_mean():
    assert [anytime_p(e) for e in (0, 0.5, 1, 20)] == [1, 1, 1, 0.05]
    assert combine([60, 0, 0]) == 20
    assert combine([inf, 1]) == inf


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: bad_event_e_value([CanaryStep(0.5, 3, 2)]), "impossible"),
        (lambda: bad_event_e_value([CanaryStep(1.5, 0, 2)]), "impossible"),
        (lambda: bad_event_e_value([CanaryStep(0.0, 1, 2)]), "share was 0"),
        (lambda: bad_event_e_value([CanaryStep(1.0, 1, 2)]), "share was 0"),
        (lambda: bad_event_e_value([], max_ratio=0), "max_ratio"),
        (lambda: rate_e_value(3, 2, limit=0.01), "no test"),
        (lambda: rate_e_value(0, 0, limit=0), "no test"),
        (lambda: paired_e_value(-1, 0, 0, margin=0), "no test"),
        (lambda: paired_e_value(0, 0, 0, margin=1), "no test"),
        (lambda: paired_e_value(0, float("nan"), 0, margin=0), "no test"),
        (lambda: paired_e_value(inf, 0, 0, margin=0), "no test"),
        (lambda: paired_e_value(1, 2, 3, margin=0, rows_per_observation=0.5), "one row or more, not of 0.5"),
        (lambda: paired_e_value(1, 2, 3, margin=0, rows_per_observation=float("nan")), "one row or more"),
        (lambda: combine([]), "one or more"),
        (lambda: combine([float("nan")]), "one or more"),
        (lambda: anytime_p(float("nan")), "0 or more"),
    ],
)
def test_nonsense_is_refused(call, message):
    with pytest.raises(InvalidInputError, match=message):
        call()
