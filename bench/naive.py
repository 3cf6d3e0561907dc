"""The tests that are not to be used, on the same histories: each is right once, for rows that are independent.

The z-test and Mann-Whitney start anew at each step and look every five minutes, as judges of web services do; pooled
over the ramp they would be worse. McNemar's test of the pairs has a sample size fixed in advance, at which it looks
once; and it is shown looking every hour.
"""

from typing import Final, NamedTuple

import numpy as np
from scipy.special import ndtri

from bench.e_values import Counts, Floats, Ints
from bench.histories import RAMP, STEP_HOURS, History

LOOK_MINUTES: Final = 5
LEAST_REQUESTS: Final = 50
"""Of the canary in a step; neither test looks before."""
Z_LIMIT: Final = float(ndtri(0.95))
MANN_WHITNEY_LIMIT: Final = float(ndtri(0.99))
"""Kayenta's confidence of 98 %, from both sides."""
SAMPLE: Final = 1000
"""Pairs for McNemar: of the disagreement of 6 % that find a loss of 2 points with 80 %."""
_LOOKS: Final = STEP_HOURS * 60 // LOOK_MINUTES
_BUCKETS: Final = 250


class Alarms(NamedTuple):
    """Which of them would have rolled back."""

    z_errors: bool
    z_any: bool
    """Of errors, slow answers and wrong ones."""
    mann_whitney: bool
    """On latency."""
    mcnemar_once: bool
    mcnemar_hourly: bool


def alarms(history: History) -> Alarms:
    """Judge a whole history by all of them; rows are counted as if they were independent."""
    rows = np.flatnonzero(history.ramp)
    look = (history.minute[rows] - 60) // LOOK_MINUTES  # the shadow takes an hour
    arms, size = [history.canary[rows], ~history.canary[rows]], history.of.rows[rows]
    n = [_by_look(look[arm], size[arm]) for arm in arms]
    z = {}
    for metric, each in history.bad.items():
        bad = [_by_look(look[its], size[its]) for its in (arm & each[rows] for arm in arms)]
        z[metric] = bool((_z(bad, n) > Z_LIMIT).any())
    # Buckets of 5 %, as the rollups have them.
    bucket = np.clip(np.log(history.of.latency[rows]) / np.log(1.05), 0, _BUCKETS - 1).astype(np.int64)
    latency = [_by_look(look[arm], None, bucket[arm], _BUCKETS) for arm in arms]
    slower = bool((_u(*latency) > MANN_WHITNEY_LIMIT).any())
    return Alarms(z["error"], any(z.values()), slower, *_mcnemar(history))


def two_proportions(bad: Counts, n: Counts, other_bad: Counts, other_n: Counts, least: int = LEAST_REQUESTS) -> Floats:
    """z of two shares, with their pooled variance; 0 with fewer than `least` of either."""
    with np.errstate(divide="ignore", invalid="ignore"):
        pooled = (bad + other_bad) / (n + other_n)
        z = (bad / n - other_bad / other_n) / np.sqrt(pooled * (1 - pooled) * (1 / n + 1 / other_n))
    return np.where((n >= least) & (other_n >= least) & np.isfinite(z), z, 0.0)


def mcnemar(wins: Counts, losses: Counts) -> Floats:
    """z of the losses beside the wins."""
    return np.asarray((losses - wins) / np.sqrt(np.maximum(losses + wins, 1)))


def _mcnemar(history: History) -> tuple[bool, bool]:
    of = history.of
    both = ~of.champion_error & ~of.challenger_error
    wins = np.cumsum(of.rows * (both & of.champion_wrong & ~of.challenger_wrong))
    losses = np.cumsum(of.rows * (both & of.challenger_wrong & ~of.champion_wrong))
    z, pairs = mcnemar(wins, losses), np.cumsum(of.rows * both)
    hours = np.searchsorted(of.minute, np.arange(60, int(of.minute[-1]), 60)) - 1
    once = z[np.searchsorted(pairs, SAMPLE)]
    return bool(once > Z_LIMIT), bool((z[hours[pairs[hours] >= LEAST_REQUESTS]] > Z_LIMIT).any())


def _by_look(look: Ints, size: Ints | None, column: Ints | int = 0, columns: int = 1) -> Ints:
    """Counts so far in the step, at each look of it: of shape (steps, looks, columns)."""
    shape = (len(RAMP), _LOOKS, columns)
    counts = np.bincount(look * columns + column, weights=size, minlength=len(RAMP) * _LOOKS * columns)
    return np.asarray(counts.astype(np.int64).reshape(shape).cumsum(axis=1))


def _z(bad: list[Ints], n: list[Ints]) -> Floats:
    return two_proportions(bad[0], n[0], bad[1], n[1])


def _u(canary: Ints, champion: Ints) -> Floats:
    """Mann-Whitney's U of two histograms, as a standard normal: high where the canary is slower. Corrected for ties."""
    below = np.cumsum(champion, axis=-1) - champion / 2
    n, m, ties = canary.sum(axis=-1), champion.sum(axis=-1), (canary + champion).astype(np.float64)
    total = n + m
    u = (canary * below).sum(axis=-1) - n * m / 2
    with np.errstate(divide="ignore", invalid="ignore"):
        variance = n * m / 12 * (total + 1 - (ties**3 - ties).sum(axis=-1) / (total * (total - 1)))
        return np.where(n >= LEAST_REQUESTS, u / np.sqrt(variance), 0.0)
