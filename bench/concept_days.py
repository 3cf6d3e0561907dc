"""How often a champion is accused of a loss that there is none of, in a year of days that differ, and how soon of one.

    .venv/bin/python bench/concept_days.py

The days of the evaluation, of which alone the test knows how days differ, are drawn like the later ones. What the
e-value is after each day is computed for all lives at once; one of them is held against `rate_change_e_value`.
"""

import argparse
import sys
from collections.abc import Callable

import numpy as np
import numpy.typing as npt
from rich.console import Console
from rich.table import Table

from mlops_dagster.monitoring import ConceptPolicy
from mlops_dagster.statistics import DesignEffect, rate_change_e_value, rate_design_effect, rate_upper_bound
from mlops_dagster.statistics.e_values.rate_change import BETS, FARTHEST

Floats = npt.NDArray[np.float64]
Rates = Callable[[np.random.Generator, float, tuple[int, int]], Floats]

POLICY = ConceptPolicy()
EVALUATED, YEAR, GOOD = 0.10, 365, 60


def beta(correlation: float) -> Rates:
    spread = 1 / correlation - 1
    return lambda rng, mean, shape: rng.beta(mean * spread, (1 - mean) * spread, shape)


def storms(share: float, rate: float) -> Rates:
    return lambda rng, mean, shape: np.where(rng.random(shape) < share, rate, (mean - share * rate) / (1 - share))


def lasting(correlation: float, from_day_to_day: float) -> Rates:
    """Weather that lasts: days that follow one another are alike."""

    def rates(rng: np.random.Generator, mean: float, shape: tuple[int, int]) -> Floats:
        from scipy.stats import beta as distribution
        from scipy.stats import norm

        weather = rng.normal(size=shape)
        for day in range(1, shape[1]):
            fresh = np.sqrt(1 - from_day_to_day**2) * weather[:, day]
            weather[:, day] = from_day_to_day * weather[:, day - 1] + fresh
        spread = 1 / correlation - 1
        found: Floats = distribution.ppf(norm.cdf(weather), mean * spread, (1 - mean) * spread)
        return found

    return rates


def weekends(more: float) -> Rates:
    def rates(_: np.random.Generator, mean: float, shape: tuple[int, int]) -> Floats:
        return np.broadcast_to(mean * (1 + np.where(np.arange(shape[1]) % 7 < 5, -more * 2 / 7, more * 5 / 7)), shape)

    return rates


def spells(share: float, rate: float, length: float) -> Rates:
    """Storms of several days, that are known of only if one came while it was evaluated."""

    def rates(rng: np.random.Generator, mean: float, shape: tuple[int, int]) -> Floats:
        chance, storm = rng.random(shape), np.empty(shape, dtype=np.bool_)
        storm[:, 0] = chance[:, 0] < share
        for day in range(1, shape[1]):
            storm[:, day] = chance[:, day] < np.where(storm[:, day - 1], 1 - 1 / length, share / (1 - share) / length)
        return np.where(storm, rate, (mean - share * rate) / (1 - share))

    return rates


WORLDS: dict[str, Rates] = {
    "independent rows": lambda _, mean, shape: np.full(shape, mean),
    "correlation 0.01": beta(0.01),
    "correlation 0.03": beta(0.03),
    "correlation 0.1": beta(0.1),
    "storms: 3 % of days, 40 % wrong": storms(0.03, 0.4),
    "storms: 1 % of days, 60 % wrong": storms(0.01, 0.6),
    "lasting: 0.03, next day 0.5": lasting(0.03, 0.5),
    "lasting: 0.03, next day 0.8": lasting(0.03, 0.8),
    "weekends half as bad again": weekends(0.5),
    "spells: 10 % of days, 25 % wrong": spells(0.1, 0.25, 4),
}


def surprises(over: Floats, limits: Floats, rows: int, effects: list[DesignEffect]) -> Floats:
    """As in `rate_change_e_value`, of all lives: what is over the limit and what the days before let one expect."""
    lasts = np.array([shared.lasting for shared in effects])
    most = np.minimum(limits, 0.5)
    noise = most * (1 - most) / rows
    own = noise * (np.array([shared.rows for shared in effects]) - 1)
    found = np.empty_like(over)
    expected, unsure = np.zeros_like(own), own
    for day in range(over.shape[1]):
        expected, unsure = lasts * expected, lasts**2 * unsure + (1 - lasts**2) * own
        news, variance = over[:, day] - expected, unsure + noise
        found[:, day] = news / np.sqrt(variance)
        expected, unsure = expected + news * unsure / variance, unsure * noise / variance
    return found


def alarms(
    rng: np.random.Generator, rates: Rates, rows: int, evaluated_days: int, lives: int, means: list[tuple[float, int]]
) -> tuple[float, float]:
    """Of lives of (mean, days) in turn: how many are accused, and after how many of the last days in the median."""
    days = sum(length for _, length in means)
    evaluated = rng.binomial(rows, rates(rng, EVALUATED, (lives, evaluated_days)))
    wrong = np.concatenate([rng.binomial(rows, rates(rng, mean, (lives, length))) for mean, length in means], axis=1)
    effects = [rate_design_effect([(int(k), rows) for k in its]) or DesignEffect(rows) for its in evaluated]
    limits = np.empty(lives)
    for life, (its, shared) in enumerate(zip(evaluated, effects, strict=True)):
        total, trials = int(its.sum()), rows * evaluated_days
        bound = rate_upper_bound(total, trials, alpha=POLICY.alpha / 4, shared=shared.of_many_blocks)
        limits[life] = min(bound + POLICY.margin, 1 - 1e-9)
    z = surprises(wrong / rows - limits[:, None], limits, rows, effects)
    worth = np.maximum(BETS + np.minimum(z, FARTHEST)[..., None], 0) ** 2 / (1 + BETS**2)
    begun, first = np.zeros((lives, len(BETS))), np.full(lives, np.inf)
    e_value = np.ones(lives)
    for day in range(1, days + 1):
        begun = np.minimum(worth[:, day - 1] * (begun + 1 / (day * (day + 1))), 1e200)
        e_value = begun.mean(axis=1) + 1 / (day + 1)
        first = np.where(e_value >= 4 / POLICY.alpha, np.minimum(first, day), first)
    blocks = [(int(k), rows) for k in wrong[0]]
    exact = rate_change_e_value(blocks, limit=limits[0], shared=effects[0]).e_value
    assert np.isclose(min(exact, 1e100), min(e_value[0], 1e100), rtol=1e-6), (exact, e_value[0])
    return float(np.isfinite(first).mean()), float(np.median(first)) - sum(length for _, length in means[:-1])


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--lives", type=int, default=1000)
    lives = parser.parse_args(argv).lives
    rng = np.random.default_rng(1)
    table = Table(
        title="Champions accused in a year, overall (2.5 % promised), and days until half are of twice the rate"
    )
    for column in ("days", "evaluated", "rows", "as evaluated", "2 points worse", "x2", "x2 after 60 days"):
        table.add_column(column)
    double = 2 * EVALUATED
    for name, rates in WORLDS.items():
        for evaluated_days, rows in ((5, 1000), (14, 200), (14, 5000), (60, 1000)):

            def accused(*means: tuple[float, int]) -> tuple[float, float]:
                return alarms(rng, rates, rows, evaluated_days, lives, list(means))  # noqa: B023  # called at once

            same, margin = accused((EVALUATED, YEAR)), accused((EVALUATED + POLICY.margin, YEAR))
            soon, late = accused((double, 200)), accused((EVALUATED, GOOD), (double, 200))
            table.add_row(
                name, str(evaluated_days), f"{rows:,}", f"{same[0]:.1%}", f"{margin[0]:.1%}",
                *("over 200" if days > 200 else f"{days:.0f}" for _, days in (soon, late)),
            )  # fmt: skip
    Console(width=120).print(table)
    return 0


if __name__ == "__main__":
    sys.exit(main())
