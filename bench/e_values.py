"""The e-values of `decide` at many looks at once: the same closed forms, as sums of logarithms over the time.

What a minute (or an hour) adds to the logarithm of a bet depends on nothing but its own counts. So with G its running
sum, a bet that begins in minute s has won exp(G[now + 1] - G[s]) by now. `looks.py` and `cohorts.py` hold what comes of
this against `decide` itself.
"""

from collections.abc import Callable
from typing import Final, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt
from scipy.special import chdtri

from mlops_dagster.statistics.e_values.bad_event import NOT_WORSE, WORSE
from mlops_dagster.statistics.e_values.difference import FRACTIONS
from mlops_dagster.statistics.e_values.excess import ODDS, OFTEN, WEIGHTS
from mlops_dagster.statistics.e_values.rate import ODDS_RATIOS

Floats: TypeAlias = npt.NDArray[np.float64]
Ints: TypeAlias = npt.NDArray[np.int64]
Bools: TypeAlias = npt.NDArray[np.bool_]
Counts: TypeAlias = Floats | Ints

BACK: Final = (*(2**n for n in reversed(range(16))), 0)
"""Minutes before a look at which later bets begin, the earliest first."""
WEEK: Final = 7 * 24 * 60


def mixed(log_e: Floats) -> Floats:
    """The mean over the bets, which are the first axis."""
    with np.errstate(over="ignore"):
        return np.asarray(np.exp(np.logaddexp.reduce(log_e) - np.log(len(log_e))))


def weight(minute: Ints) -> Floats:
    """Of the bets that begin in that minute; those that begin in the first have a half."""
    return np.asarray(0.25 / WEEK * 0.5 ** ((minute - 1) // WEEK))


def since_start_or_later(e_since: Callable[[Ints], Floats], now: Ints) -> Floats:
    """`e_since(minutes)` are e-values at looks in the minutes `now` of bets that began in those minutes."""
    return mixture_and_loudest(e_since, now)[0]


def mixture_and_loudest(e_since: Callable[[Ints], Floats], now: Ints) -> tuple[Floats, Ints]:
    """The same, and the minute in which the bet began that has the most of it; 0 is the start."""
    weeks, rest = np.divmod(now, WEEK)
    best, most = np.zeros_like(now), e_since(np.zeros_like(now)) / 2
    e = most + 0.5**weeks * (0.5 - 0.25 / WEEK * rest)
    for back in BACK:
        start = np.maximum(now - back, 0)
        if start.any():
            its = np.where(start > 0, weight(start) * e_since(start), 0)
            best, most, e = np.where(its > most, start, best), np.maximum(its, most), e + its
    return np.asarray(e), np.asarray(best)


def of_relative(canary: Counts, champion: Counts, share: Floats, max_ratio: float, *, worse: bool = True) -> Floats:
    """What bad events of either arm add, with the canary's share of the traffic then."""
    bet = _bets(WORSE if worse else NOT_WORSE, canary)
    q0 = share * max_ratio / (1 - share + share * max_ratio)
    return np.asarray(canary * np.log(bet) - (canary + champion) * np.log1p(q0 * (bet - 1)))


def of_rate(bad: Counts, n: Counts, limit: float) -> Floats:
    """What bad ones among n add."""
    bet = _bets(ODDS_RATIOS, n)
    return np.asarray(bad * np.log(bet) - n * np.log1p(limit * (bet - 1)))


def of_difference(
    wins: Counts, losses: Counts, ties: Counts, margin: float, *, worse: bool = True, size: Counts | float = 1.0
) -> Floats:
    """What labelled pairs add, where a win or a loss counts `size` (1 at most)."""
    nu = _bets(FRACTIONS / (1 + margin) if worse else -FRACTIONS / (1 - margin), ties)
    of_loss, of_tie, of_win = (np.log1p(nu * (sign * size - margin)) for sign in (1, 0, -1))
    return np.asarray(losses * of_loss + ties * of_tie + wins * of_win)


def of_excess(challenger: Counts, champion: Counts, share: Counts | float) -> Floats:
    """What failures of one version alone add."""
    bet = _bets(ODDS, challenger)
    return np.asarray(challenger * np.log(bet) - (challenger + champion) * np.log1p(share * (bet - 1)))


def running(gained: Counts) -> Floats:
    """Sums before each time, and after the last: along the last axis."""
    first = np.zeros((*gained.shape[:-1], 1))
    return np.concatenate([first, np.cumsum(gained, axis=-1)], axis=-1)


class Failures(NamedTuple):
    """Running sums of failures of one version alone, over any pieces of time."""

    odds: Floats
    scored: Floats
    """By both."""
    alone: Floats
    """Of these, the challenger's failures, and the champion's."""
    champion: Floats
    """Alone or with the challenger."""

    @classmethod
    def of(cls, both: Counts, *arms: tuple[Counts, Counts, Floats]) -> "Failures":
        """Of requests that both scored, and of arms: failures of the canary and the champion, the canary's share.

        `both` are requests, failures of the challenger alone, of the champion alone, and of both.
        """
        scored, alone, champion, shared = both
        stages: list[tuple[Counts, Counts, Counts | float]] = [(alone, champion, 0.5), *arms]
        odds = sum(of_excess(*stage) for stage in stages)
        return cls(*(running(np.asarray(each)) for each in (odds, scored, alone, champion + shared)))

    def since(self, start: Ints, end: Ints) -> Floats:
        """`excess_failure_e_value` of the pieces from `start` on and before `end`."""
        n, alone, champion = (sums[end] - sums[start] for sums in self[1:])
        often = alone * np.log(8 / 3) + (n - alone) * np.log(8 / 9)
        with np.errstate(over="ignore"):
            odds = np.exp(self.odds[:, end] - self.odds[:, start])
            pairs = np.where(champion == 0, np.exp(often), 0)
        return np.asarray(np.tensordot(WEIGHTS, odds, 1) + OFTEN * pairs)


def _bets(bets: Floats, like: Counts) -> Floats:
    return bets.reshape(-1, *[1] * like.ndim)


def days_differ(pairs: Counts, minutes: int, rows: Floats) -> Bools:
    """`days_differ` of many rollouts; the axes: wins, losses, ties; rollouts; cohorts of so many minutes."""
    starts = np.arange(0, pairs.shape[-1], 24 * 60 // minutes)
    wins, losses, ties = np.add.reduceat(pairs, starts, axis=-1)
    n = (wins + losses + ties).astype(np.float64)
    freedom, total = (n > 0).sum(axis=1) - 1, n.sum(axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        mean = (losses - wins).sum(axis=1) / total
        variance = (losses + wins).sum(axis=1) / total - mean**2
        moved = np.where(n > 0, n * ((losses - wins) / n - mean[:, None]) ** 2, 0).sum(axis=1)
        least = moved / variance / chdtri(np.maximum(freedom, 1), 0.01)
    return np.asarray((freedom > 0) & (variance > 0) & (least > rows))
