"""One look at a rollout: its policy and evidence, and test results with their arithmetic."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import inf
from typing import Literal, NamedTuple

from mlops_dagster.rollout.entities import Rollout, TestResult
from mlops_dagster.rollout.evidence import Evidence
from mlops_dagster.rollout.policy import RolloutPolicy
from mlops_dagster.rollout.prospects.forecast import about, growth_needed
from mlops_dagster.statistics import anytime_p

_WEEK = 7 * 24 * 60  # minutes; about as long as a rollout may take


class Needed(NamedTuple):
    """The evidence that a proof still takes."""

    words: str
    more: float | None
    """The number of further requests or labels; infinite if more of the same prove nothing, None before the first."""


@dataclass(frozen=True)
class Look:
    """Policy, rollout and evidence of one moment; with `forecast` open tests say how much more evidence they need."""

    policy: RolloutPolicy
    rollout: Rollout
    evidence: Evidence
    forecast: bool = False

    @property
    def sharing(self) -> int:
        """The number of e-values that share the alpha of a rollback: without pairs, the bake has no accuracy test."""
        return 5 if self.policy.uses_pairs else 4

    def result(
        self,
        name: str,
        claim: str,
        observed: Mapping[str, float],
        e_value: float,
        *,
        sharing: int = 1,
        needed: "Needed | None" = None,
        missing: str | None = None,
    ) -> TestResult:
        """Return the result of a test: proven once its e-value, now or before, has reached `sharing` / alpha.

        If evidence of this kind is `missing`, the result is inconclusive, with the e-value of no evidence.
        """
        limit = sharing / self.policy.alpha
        if missing is not None:
            return TestResult(name, claim, observed, 1.0, limit, 1.0, "inconclusive", missing)
        peak = max(e_value, self.rollout.peaks.get(name, 0.0))
        proven = peak >= limit
        verdict: Literal["proven", "open"] = "proven" if proven else "open"
        words, more = (None, None) if proven or needed is None else needed
        return TestResult(name, claim, observed, e_value, limit, anytime_p(peak), verdict, words, more)

    def needed(self, e_value_at: Callable[[float], float], count: int, of: str) -> "Needed | None":
        """Say how many more `of` a proof takes; `e_value_at(factor)` is the e-value of `factor` times all counts."""
        if not self.forecast:
            return None
        if not count:
            return Needed(f"the first {of}", None)
        growth = growth_needed(e_value_at, 1 / self.policy.alpha)
        if growth is None:
            return Needed(f"a change: more {of} like these prove nothing", inf)
        more = about((growth - 1) * count)
        return Needed(f"about {more} more {of}", more)


def since_start_or_later(whole: float, later: Sequence[tuple[int, float]]) -> float:
    """Mix e-values that bet from the start of a rollout on with those that begin to bet in a later minute.

    E = 1/2 E_0 + sum over s of w_s E_s, with w_s = 1/4 / week for each minute s of the first week after the first, half
    of that for each of the second, and so on; a bet that has not begun is worth 1. The weights are fixed beforehand and
    add up to 1, so E is an e-value too, and a good past does not protect a challenger that turns bad late. Leaving bets
    out makes E smaller, so the choice of those left out may depend on anything. A late start costs a factor of 20,160
    against an early one (docs/decisions/0018).

    Args:
        whole: E_0.
        later: minutes s, rising, with E_s; the last is the present one.
    """
    now = later[-1][0] if later else 0
    return whole / 2 + sum(weight_of(minute) * e_value for minute, e_value in later) + _not_begun(now)


def weight_of(minute: int) -> float:
    """Return the weight of the bets that begin with a minute of the rollout, of which the first is 0.

    >>> week = 7 * 24 * 60
    >>> weight_of(0), weight_of(1) == weight_of(week) == 0.25 / week, weight_of(week + 1) == 0.125 / week
    (0.5, True, True)
    """
    return 0.5 if minute == 0 else 0.25 / _WEEK * 0.5 ** ((minute - 1) // _WEEK)


def _not_begun(minute: int) -> float:
    """Return the weight of all bets that begin after a minute.

    >>> _not_begun(0), _not_begun(7 * 24 * 60), _not_begun(2 * 7 * 24 * 60)
    (0.5, 0.25, 0.125)
    """
    weeks, rest = divmod(minute, _WEEK)
    return 0.5 * 0.5**weeks - 0.25 / _WEEK * 0.5**weeks * rest
