"""The tests that are not to be used, on the same histories: each is right once, and looked at every five minutes here.

Both start anew at each step, as judges of web services do; pooled over the ramp they would be worse.
"""

from typing import Final, NamedTuple

import numpy as np
from histories import RAMP, STEP_HOURS, Floats, History, Ints
from scipy.special import ndtri

LOOK_MINUTES: Final = 5
LEAST_REQUESTS: Final = 50
"""Of the canary in a step; neither test looks before."""
Z_LIMIT: Final = ndtri(0.95)
MANN_WHITNEY_LIMIT: Final = ndtri(0.99)
"""Kayenta's confidence of 98 %, from both sides."""
_LOOKS: Final = STEP_HOURS * 60 // LOOK_MINUTES
_BUCKETS: Final = 250


class Alarms(NamedTuple):
    z_errors: bool
    z_any: bool
    """Of errors, slow answers and wrong ones."""
    mann_whitney: bool
    """On latency."""


def alarms(history: History) -> Alarms:
    """Which of them would have rolled back."""
    rows = np.flatnonzero(history.ramp)
    look = (history.minute[rows] - 60) // LOOK_MINUTES  # the shadow takes an hour
    arms = [history.canary[rows], ~history.canary[rows]]
    n = [_by_look(look[arm]) for arm in arms]
    bad = {metric: [_by_look(look[arm & each[rows]]) for arm in arms] for metric, each in history.bad.items()}
    z = {metric: bool((_z(counts, n) > Z_LIMIT).any()) for metric, counts in bad.items()}
    # Buckets of 5 %, as the rollups have them.
    bucket = np.clip(np.log(history.latency[rows]) / np.log(1.05), 0, _BUCKETS - 1).astype(np.int64)
    latency = [_by_look(look[arm], bucket[arm], _BUCKETS) for arm in arms]
    return Alarms(z["error"], any(z.values()), bool((_u(*latency) > MANN_WHITNEY_LIMIT).any()))


def _by_look(look: Ints, column: Ints | int = 0, columns: int = 1) -> Ints:
    """Counts so far in the step, at each look of it: of shape (steps, looks, columns)."""
    size = len(RAMP) * _LOOKS * columns
    return np.bincount(look * columns + column, minlength=size).reshape(len(RAMP), _LOOKS, columns).cumsum(axis=1)


def _z(bad: list[Ints], n: list[Ints]) -> Floats:
    """Two proportions, their pooled variance."""
    (canary, champion), (of_canary, of_champion) = bad, n
    pooled = (canary + champion) / (of_canary + of_champion)
    with np.errstate(divide="ignore", invalid="ignore"):
        z = (canary / of_canary - champion / of_champion) / np.sqrt(
            pooled * (1 - pooled) * (1 / of_canary + 1 / of_champion)
        )
    return np.where((of_canary >= LEAST_REQUESTS) & (pooled > 0), z, 0.0)


def _u(canary: Ints, champion: Ints) -> Floats:
    """Mann-Whitney's U of two histograms, as a standard normal: high where the canary is slower. Corrected for ties."""
    below = np.cumsum(champion, axis=-1) - champion / 2
    n, m, ties = canary.sum(axis=-1), champion.sum(axis=-1), (canary + champion).astype(np.float64)
    total = n + m
    u = (canary * below).sum(axis=-1) - n * m / 2
    with np.errstate(divide="ignore", invalid="ignore"):
        variance = n * m / 12 * (total + 1 - (ties**3 - ties).sum(axis=-1) / (total * (total - 1)))
        return np.where(n >= LEAST_REQUESTS, u / np.sqrt(variance), 0.0)
