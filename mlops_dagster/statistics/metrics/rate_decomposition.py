"""The parts of a change of a rate: other groups come (mix), or groups behave otherwise (rate)."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from mlops_dagster.errors import InvalidInputError

Values = npt.NDArray[np.float64]


class Estimate(NamedTuple):
    """A number with the bounds of its interval."""

    value: float
    low: float
    high: float


class RateParts(NamedTuple):
    """The parts of a change of a rate, `mix` + `rate`; `shift` is the part that goes with groups that have gained."""

    change: Estimate
    mix: Estimate
    rate: Estimate
    shift: Estimate


class GroupSample(NamedTuple):
    """The rows and the bad rows of each group, and their design effects.

    The design effects are that of the overall rate of bad rows (`shared`), that of a group's bad rows against the other
    groups of the day (`shared_beside`; None takes groups as independent), and that of the mix of groups (`shared_mix`).
    """

    rows: Sequence[int]
    bad: Sequence[int]
    shared: float = 1.0
    shared_mix: float = 1.0
    shared_beside: float | None = None


def rate_parts(before: GroupSample, after: GroupSample, *, confidence: float = 0.95) -> RateParts:
    """Return the parts of a change of a rate, each with its interval.

    With shares p and rates r before, q and s after, of each group,

        mix = sum of (q - p) (r + s) / 2,  rate = sum of (p + q) / 2 (s - r),  change = mix + rate

    A group without rows on one side is taken to have had the rate of the other side there: its effect on the rate is
    mix. `shift` is the mix, plus the part of the rate that groups that have `gained` lost per row beyond the loss of
    the others: if all became worse by the same amount, the shift is not the cause; if the others became better, they
    count as unchanged.

    Rows count as independent after division by their design effects; `shared` beyond `shared_beside` makes all groups
    worse alike. The intervals are by the delta method, with one bad and one good row more in each group. Raises
    InvalidInputError unless 0 <= bad <= rows, with the same number of groups and with rows on both sides, and design
    effects of 1 or more.

    >>> parts = rate_parts(GroupSample([900, 100], [45, 20]), GroupSample([500, 500], [25, 100]))
    >>> [round(part.value, 3) for part in parts]  # groups as bad as they were, of which the worse one came more often
    [0.06, 0.06, 0.0, 0.06]

    Source: E. M. Kitagawa, Journal of the American Statistical Association 50, 1955.
    """
    n, w, m, v = (np.array(part, dtype=np.float64) for part in (before.rows, before.bad, after.rows, after.bad))
    worth = [each for side in (before, after) for each in side[2:] if each is not None]
    same = len({part.shape for part in (n, w, m, v)}) == 1
    if not same or (w < 0).any() or (w > n).any() or (v < 0).any() or (v > m).any() or min(worth) < 1:
        raise InvalidInputError(f"bad rows of the rows of the same groups are to be compared, got {before} and {after}")
    if not n.sum() or not m.sum():
        raise InvalidInputError(f"rows before and after are to be compared, got {n.sum():g} and {m.sum():g}")
    p, q = n / n.sum(), m / m.sum()
    with np.errstate(invalid="ignore"):
        r, s = w / n, v / m
    r, s = np.where(n > 0, r, s), np.where(m > 0, s, r)
    r, s = np.nan_to_num(r), np.nan_to_num(s)
    middle, weight, worse = (r + s) / 2, (p + q) / 2, s - r

    both = (n > 0) & (m > 0)
    more = gained(before, after)
    grown, others = both & more, both & ~more
    of_grown, of_others = weight[grown].sum(), weight[others].sum()
    elsewhere = float(weight[others] @ worse[others] / of_others) if of_others else 0.0
    lost = max(elsewhere, 0.0)
    excess = float(weight[grown] @ worse[grown] - of_grown * lost)

    # the derivatives of each part by a share (for both sides alike), and by a rate after
    excess_by_weight = np.where(grown, worse - lost, 0.0)
    excess_by_rate = np.where(grown, weight, 0.0)
    if lost > 0:
        excess_by_weight -= np.where(others, of_grown * (worse - elsewhere) / of_others, 0.0)
        excess_by_rate -= np.where(others, of_grown * weight / of_others, 0.0)
    slopes = {
        "change": _Slopes(-r, -p, s, q),
        "mix": _Slopes(-middle, (q - p) / 2, middle, (q - p) / 2),
        "rate": _Slopes(worse / 2, -weight, worse / 2, weight),
    }
    shift = _Slopes(excess_by_weight / 2, -excess_by_rate, excess_by_weight / 2, excess_by_rate)
    slopes["shift"] = _Slopes(*(mine + its for mine, its in zip(slopes["mix"], shift, strict=True)))
    mix, rate = float((q - p) @ middle), float(weight @ worse)
    values = {"change": mix + rate, "mix": mix, "rate": rate, "shift": mix + excess}

    from scipy.special import ndtri

    z = float(ndtri((1 + confidence) / 2))
    found = {}
    for name, slope in slopes.items():
        by_before, by_after = _known(slope.r, slope.s, n > 0, m > 0)
        variance = _variance(n, w, slope.p, by_before, before) + _variance(m, v, slope.q, by_after, after)
        found[name] = Estimate(values[name], values[name] - z * variance**0.5, values[name] + z * variance**0.5)
    return RateParts(**found)


def gained(before: GroupSample, after: GroupSample) -> npt.NDArray[np.bool_]:
    """Return which groups have a larger share than before, by more than twice its standard error.

    >>> gained(GroupSample([900, 100], [0, 0]), GroupSample([850, 150], [0, 0])).tolist()
    [False, True]
    """
    n, m = np.array(before.rows, dtype=np.float64), np.array(after.rows, dtype=np.float64)
    both = (n + m) / (n.sum() + m.sum())
    error = np.sqrt(both * (1 - both) * (before.shared_mix / n.sum() + after.shared_mix / m.sum()))
    larger: npt.NDArray[np.bool_] = m / m.sum() - n / n.sum() > 2 * error
    return larger


class _Slopes(NamedTuple):
    """The derivatives of a part by the shares and the rates, before and after."""

    p: Values
    r: Values
    q: Values
    s: Values


def _known(
    by_before: Values, by_after: Values, before: npt.NDArray[np.bool_], after: npt.NDArray[np.bool_]
) -> tuple[Values, Values]:
    """Return the derivatives by measured rates only: a rate taken from the other side is moved by that side's."""
    one = np.where(before, by_before + np.where(after, 0, by_after), 0)
    other = np.where(after, by_after + np.where(before, 0, by_before), 0)
    return one, other


def _variance(rows: Values, bad: Values, by_share: Values, by_rate: Values, of: GroupSample) -> float:
    total = rows.sum()
    share = rows / total
    mean = share @ by_share
    of_mix = share @ (by_share - mean) ** 2 / total * of.shared_mix
    beside = of.shared if of.shared_beside is None else of.shared_beside
    rate, of_all = (bad + 1) / (rows + 2), (bad.sum() + 1) / (total + 2)
    of_rates = np.sum(np.where(rows > 0, by_rate**2 * rate * (1 - rate) / np.maximum(rows, 1), 0)) * beside
    in_common = by_rate.sum() ** 2 * of_all * (1 - of_all) / total * max(of.shared - beside, 0)
    return float(of_mix + of_rates + in_common)
