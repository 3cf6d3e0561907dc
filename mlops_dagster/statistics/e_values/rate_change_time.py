"""The days until a rate that has risen above a limit is proven to have, by simulation."""

from typing import Final

import numpy as np
import numpy.typing as npt

from mlops_dagster.errors import InvalidInputError
from mlops_dagster.statistics.design_effects.design_effect import DesignEffect
from mlops_dagster.statistics.e_values.rate_change import BETS, FARTHEST

LIVES: Final = 201
HORIZON: Final = 120
SEED: Final = 0

Values = npt.NDArray[np.float64]


def days_to_proof(
    rate: float, *, limit: float, needed: float, trials: int, shared: DesignEffect, horizon: int = HORIZON
) -> int | None:
    """Return the median days until `rate_change_e_value` reaches `needed`, if the rate is `rate` from the first day on.

    Each day has `trials` trials. They share causes by `shared`: the day's rate is drawn from the beta distribution of
    that correlation, and rates of successive days are correlated by `lasting`. None if it takes more than `horizon`
    days, as it does for a rate not above the limit. The draws are seeded: equal arguments give equal days.

    Raises InvalidInputError unless 0 <= rate <= 1, 0 < limit < 1 and trials >= 1.

    >>> days_to_proof(0.2, limit=0.13, needed=80, trials=1000, shared=DesignEffect(1.5))
    3
    >>> days_to_proof(0.1, limit=0.13, needed=80, trials=1000, shared=DesignEffect(1.5)) is None
    True
    """
    if not 0 <= rate <= 1 or not 0 < limit < 1 or trials < 1:
        raise InvalidInputError(f"rates and limits lie between 0 and 1; got {rate}, {limit} and {trials} trials a day")
    if rate <= limit:
        return None
    shared = shared.at(float(trials))
    rng = np.random.default_rng(SEED)
    bad = rng.binomial(trials, _rates(rng, rate, trials, shared, horizon))
    first = np.full(LIVES, np.inf)
    begun, expected = np.zeros((LIVES, len(BETS))), np.zeros(LIVES)
    most = min(limit, 0.5)
    noise = most * (1 - most) / trials
    own = unsure = noise * (shared.rows - 1)
    for day in range(1, horizon + 1):  # as in `rate_change_e_value`, for all lives at once
        expected, unsure = shared.lasting * expected, shared.lasting**2 * unsure + (1 - shared.lasting**2) * own
        news, variance = bad[:, day - 1] / trials - limit - expected, unsure + noise
        z = np.minimum(news / variance**0.5, FARTHEST)
        expected, unsure = expected + news * unsure / variance, unsure * noise / variance
        worth = np.maximum(BETS + z[:, None], 0) ** 2 / (1 + BETS**2)
        begun = np.minimum(worth * (begun + 1 / (day * (day + 1))), 1e200)
        first = np.where(begun.mean(axis=1) + 1 / (day + 1) >= needed, np.minimum(first, day), first)
        if np.isfinite(first).sum() > LIVES // 2:
            return day
    return None


def _rates(rng: np.random.Generator, rate: float, trials: int, shared: DesignEffect, days: int) -> Values:
    """Return the rate of each day of each simulated life."""
    correlation = (shared.rows - 1) / (trials - 1) if trials > 1 else 0.0
    if correlation <= 0 or not 0 < rate < 1:
        return np.full((LIVES, days), rate)
    from scipy.special import betaincinv, ndtr

    spread = max(1 / min(correlation, 1.0) - 1, 1e-6)
    weather = rng.normal(size=(LIVES, days))
    for day in range(1, days):
        weather[:, day] = shared.lasting * weather[:, day - 1] + (1 - shared.lasting**2) ** 0.5 * weather[:, day]
    found: Values = betaincinv(rate * spread, (1 - rate) * spread, ndtr(weather))
    return found
