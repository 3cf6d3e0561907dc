"""The split: exact in expectation, sticky, and moving only the keys it must."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import chi2, chisquare

from mlops_dagster.errors import VersionNotFoundError
from mlops_dagster.registry import Deployment
from mlops_dagster.serving.deployed.in_force import reachable, without
from mlops_dagster.serving.plane.router import choose

DEPLOYMENT = Deployment(
    model="m",
    epoch=7,
    champion="1.0.0",
    canary="1.1.0",
    canary_weight=0.2,
    shadows=("1.2.0",),
    salt="first",
    previous="0.9.0",
    updated_at=datetime(2026, 1, 1, tzinfo=UTC),
)
KEYS = [f"customer {number}" for number in range(20_000)]
WEIGHTS = st.floats(min_value=0, max_value=1)


@pytest.mark.parametrize("weight", [0.01, 0.05, 0.2, 0.5])
def test_the_split_is_exact_in_expectation(weight: float) -> None:
    deployment = replace(DEPLOYMENT, canary_weight=weight)
    canary = sum(choose(deployment, key).role == "canary" for key in KEYS)
    expected = len(KEYS) * weight
    assert chisquare([canary, len(KEYS) - canary], [expected, len(KEYS) - expected]).pvalue > 0.001


def test_the_arms_of_two_rollouts_are_dealt_independently() -> None:
    first, second = (replace(DEPLOYMENT, canary_weight=0.5, salt=salt) for salt in ("first", "second"))
    table = [[0, 0], [0, 0]]
    for key in KEYS:
        table[choose(first, key).role == "canary"][choose(second, key).role == "canary"] += 1
    statistic = chisquare([*table[0], *table[1]]).statistic
    assert statistic < chi2(3).ppf(0.999)


@given(key=st.text(), weights=st.tuples(WEIGHTS, WEIGHTS))
def test_a_higher_weight_moves_keys_to_the_canary_and_none_back(key: str, weights: tuple[float, float]) -> None:
    low, high = (choose(replace(DEPLOYMENT, canary_weight=weight), key).role for weight in sorted(weights))
    assert not (low == "canary" and high == "champion")


@given(key=st.text(), weight=WEIGHTS)
def test_the_weight_of_a_route_is_the_probability_of_its_arm(key: str, weight: float) -> None:
    route = choose(replace(DEPLOYMENT, canary_weight=weight), key)
    assert route.weight == (weight if route.role == "canary" else 1 - weight)
    assert route.version == ("1.1.0" if route.role == "canary" else "1.0.0")


def test_without_a_canary_the_champion_answers_all_and_without_a_champion_nobody() -> None:
    alone = replace(DEPLOYMENT, canary=None, canary_weight=0.0)
    assert choose(alone, "key") == ("1.0.0", "champion", 1.0)
    with pytest.raises(VersionNotFoundError, match="'m' has no champion"):
        choose(replace(alone, champion=None), "key")


def test_what_is_loaded_is_in_force_and_a_cold_champion_is_stood_in_for() -> None:
    assert reachable(DEPLOYMENT, {"1.0.0", "1.1.0", "1.2.0"}, None) == DEPLOYMENT
    no_canary = reachable(DEPLOYMENT, {"1.0.0"}, None)
    assert (no_canary.champion, no_canary.canary, no_canary.canary_weight, no_canary.shadows) == (
        "1.0.0",
        None,
        0.0,
        (),
    )
    assert reachable(DEPLOYMENT, {"0.9.0", "0.8.0"}, "0.8.0").champion == "0.9.0"
    assert reachable(DEPLOYMENT, {"0.8.0"}, "0.8.0").champion == "0.8.0"
    assert reachable(DEPLOYMENT, {}, None).champion is None


def test_a_canary_that_was_cut_off_may_come_back_in_another_trial() -> None:
    cut_off = {("first", "1.1.0")}
    assert without(DEPLOYMENT, cut_off).canary is None
    assert without(replace(DEPLOYMENT, salt="second"), cut_off).canary == "1.1.0"


def test_a_champion_that_was_cut_off_gives_way_to_the_one_before_while_that_watches() -> None:
    watched = replace(DEPLOYMENT, canary=None, canary_weight=0.0, previous="0.9.0", shadows=("0.9.0", "1.2.0"))
    cut_off = {("first", "1.0.0")}
    left = without(watched, cut_off)
    assert (left.champion, left.shadows) == ("0.9.0", ("1.2.0",))
    by_hand = replace(watched, shadows=("1.2.0",))
    assert without(by_hand, cut_off) == by_hand
