"""What rows that share a cause are worth: known design effects are found again, and chance keeps its rate."""

import numpy as np
import pytest
from scipy import stats

from mlops_dagster.errors import InvalidInputError
from mlops_dagster.statistics import INDEPENDENT, DesignEffect, design_effect, ks_design_effect, psi_noise

BLOCKS, ROWS, GROUPS = 60, 200, 10
DAY = 1000


def in_blocks(counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Group and block of each row, from (blocks, groups) counts."""
    blocks, groups = np.indices(counts.shape)
    return np.repeat(groups.ravel(), counts.ravel()), np.repeat(blocks.ravel(), counts.ravel())


def mean_of(effects: list[DesignEffect]) -> tuple[float, float]:
    return float(np.mean([each.rows for each in effects])), float(np.mean([each.freedom for each in effects]))


def test_independent_rows_are_worth_one_each() -> None:
    rng = np.random.default_rng(1)
    samples = [in_blocks(rng.multinomial(ROWS, [0.1] * GROUPS, BLOCKS)) for _ in range(200)]
    rows, freedom = mean_of([design_effect(*sample) for sample in samples])
    assert rows == pytest.approx(1, abs=0.03)  # the half of them that has less than chance counts as 1
    assert freedom > 0.85
    distances = [ks_design_effect(*sample).rows for sample in samples]
    assert np.mean(distances) == pytest.approx(1.1, abs=0.1)  # the largest of nine


@pytest.mark.parametrize("correlation", [0.02, 0.1, 0.5])
def test_the_design_effect_of_shares_that_vary_is_found_again(correlation: float) -> None:
    """Dirichlet-multinomial counts: 1 + (rows - 1) * correlation, in all directions alike (Brier, Biometrika 1980)."""
    rng = np.random.default_rng(2)
    concentration = (1 - correlation) / correlation / GROUPS
    shares = rng.dirichlet([concentration] * GROUPS, (100, BLOCKS))
    found = [design_effect(*in_blocks(rng.multinomial(ROWS, each))) for each in shares]
    rows, freedom = mean_of(found)
    assert rows == pytest.approx(1 + (ROWS - 1) * correlation, rel=0.06)
    assert freedom > 0.7


def test_the_distance_of_two_groups_has_their_design_effect() -> None:
    """Beta-binomial counts about one half."""
    rng = np.random.default_rng(3)
    low = rng.binomial(ROWS, rng.beta(4.5, 4.5, (100, BLOCKS)))  # correlation 1 / (4.5 + 4.5 + 1)
    found = [in_blocks(np.stack([each, ROWS - each], axis=1)) for each in low]
    assert mean_of([ks_design_effect(*each) for each in found])[0] == pytest.approx(1 + 199 * 0.1, rel=0.05)
    assert mean_of([design_effect(*each) for each in found])[0] == pytest.approx(1 + 199 * 0.1, rel=0.05)


def shifted_days(rng: np.random.Generator, days: int) -> np.ndarray:
    """(days, groups): normal values by decile, where each day has a mean of its own."""
    cuts = stats.norm.ppf(np.arange(1, GROUPS) / GROUPS, scale=np.sqrt(1.0169))
    groups = np.searchsorted(cuts, rng.normal(size=(days, DAY)) + rng.normal(scale=0.13, size=(days, 1)))
    return np.stack([np.bincount(day, minlength=GROUPS) for day in groups])


def test_chance_keeps_its_rate_where_all_groups_move_together() -> None:
    """Of other days of the same kind 1 % are over the noise, as asked; with independent rows assumed, most are."""
    rng = np.random.default_rng(4)
    training = shifted_days(rng, 400)
    effect = design_effect(*in_blocks(training))
    assert (2 < effect.rows < 4, effect.freedom < 0.4) == (True, True), effect

    days = shifted_days(rng, 4000) / DAY
    share = training.sum(axis=0) / training.sum()
    psis = np.sum((days - share) * np.log(np.maximum(days, 0.5 / DAY) / share), axis=1)

    def over(shared: DesignEffect) -> float:
        return float(np.mean(psis > psi_noise(GROUPS, training.sum(), DAY, alpha=0.01, shared=shared)))

    assert over(effect) == pytest.approx(0.01, abs=0.007)
    assert over(DesignEffect(effect.rows)) > 0.03  # why `freedom` is there
    assert over(INDEPENDENT) > 0.3


def test_the_distance_keeps_its_rate_too() -> None:
    rng = np.random.default_rng(5)
    training = shifted_days(rng, 400)
    effect = ks_design_effect(*in_blocks(training))
    days = shifted_days(rng, 4000)
    distances = np.abs(np.cumsum(days, axis=1) / DAY - np.cumsum(training.sum(axis=0)) / training.sum()).max(axis=1)

    def over(shared: DesignEffect) -> float:
        return float(np.mean(distances > np.sqrt(np.log(2 / 0.01) / 2 * shared.rows / DAY)))

    assert 0 < over(effect) < 0.015  # on the safe side, as its noise is of independent rows
    assert over(INDEPENDENT) > 0.2


def test_a_timetable_is_not_worth_more_than_chance() -> None:
    regular = np.full((BLOCKS, GROUPS), 20)
    assert design_effect(*in_blocks(regular)) == ks_design_effect(*in_blocks(regular)) == INDEPENDENT


@pytest.mark.parametrize(
    ("groups", "blocks"), [([], []), ([1, 2, 3], [7, 7, 7]), ([1, 1, 1], [1, 2, 3])], ids=["no rows", "block", "group"]
)
def test_what_says_nothing_is_taken_for_independent(groups: list[int], blocks: list[int]) -> None:
    assert design_effect(groups, blocks) == ks_design_effect(groups, blocks) == INDEPENDENT


def test_each_row_needs_a_block() -> None:
    with pytest.raises(InvalidInputError, match="a group and a block"):
        design_effect([1, 2], [1])
