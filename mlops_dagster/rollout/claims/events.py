"""Tests of failed and slow requests.

A canary starts cold, and at a share of 1 % three slow answers in a row would be proof. So its first slow answers at the
first step (`cold_start`) are left out of the bets against it, but not of the proof that it is no slower.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf, isclose
from typing import Final

from mlops_dagster.predictions import BadEvent, EventCounts
from mlops_dagster.rollout.entities import TestResult
from mlops_dagster.rollout.evidence import EventsSince, StepCounts
from mlops_dagster.rollout.look import Look, since_start_or_later, weight_of
from mlops_dagster.statistics import (
    CanaryStep,
    Pairs,
    bad_event_e_value,
    combine,
    excess_failure_e_value,
    rate_e_value,
)

CHOSEN: Final = 0.25
"""The factor on the e-value of a stretch that was chosen by its evidence."""


@dataclass(frozen=True)
class EventTests:
    """The tests of one look on failed and slow requests."""

    look: Look

    def errors_worse(self) -> TestResult:
        max_ratio = self.look.policy.max_ratio.error
        e_value = bad_event_e_value(_stages(self.look.evidence.steps, "error"), max_ratio=max_ratio)
        claim = f"rate of error over {max_ratio:g} times the champion's"
        return self.look.result("error.worse", claim, self._arms("error"), e_value, sharing=self.look.sharing)

    def slow_worse(self) -> TestResult:
        policy, (whole, *later) = self.look.policy, self.look.evidence.since
        cold = self._cold(whole)
        forgiven = min(cold, policy.cold_start)

        def e_value_since(since: EventsSince) -> float:
            # The first cold answers are forgiven: of those since this start, the ones not used up before it.
            still = max(forgiven - (cold - self._cold(since)), 0)
            return bad_event_e_value(self._warm(since, still), max_ratio=policy.max_ratio.slow)

        e_value = since_start_or_later(e_value_since(whole), [(each.minute, e_value_since(each)) for each in later])
        claim = f"rate of slow over {policy.max_ratio.slow:g} times the champion's, since the start or lately"
        observed = {**self._arms("slow"), "canary_cold": forgiven}
        return self.look.result("slow.worse", claim, observed, e_value, sharing=self.look.sharing)

    def over_error_limit(self) -> TestResult:
        """Return the test that the challenger fails over the limit, and more often than the champion at the same time.

        Each of the two claims has an e-value. A challenger within the limit is protected by the first claim, one that
        is as good as its champion by the second, which is tested on the stretch of time with the strongest evidence for
        the first. If both versions are over the limit for long, that stretch is the whole rollout, there is only one
        such stretch, and its second e-value is held against 1 / alpha. Outages are a few short stretches, and each is
        held against four times the limit of the other metrics (docs/decisions/0039 has the simulations).
        """
        limit, (whole, *later) = self.look.policy.max_error_rate, self.look.evidence.since
        of_each = [self._over(each, limit) for each in (whole, *later)]
        over = since_start_or_later(of_each[0], list(zip((each.minute for each in later), of_each[1:], strict=True)))
        loudest = max(zip((whole, *later), of_each, strict=True), key=lambda each: weight_of(each[0].minute) * each[1])
        alone = self._not_as_good(loudest[0]) * (self.look.sharing if loudest[0] is whole else CHOSEN)
        both = whole.both
        observed: dict[str, float] = {
            "scored_by_both": both.requests,
            "challenger_failed": both.challenger_failed,
            "champion_failed": both.champion_failed,
            "both_failed": both.both_failed,
            "e_over_limit": over,
            "e_not_as_good": alone,
            "since_minute": loudest[0].minute,
        }
        if not self.look.policy.uses_pairs:
            observed |= self._arms("error")
        claim = f"error rate over {limit:.2%} and over the champion's at the same time, since the start or lately"
        e_value = min(over, alone)
        return self.look.result("error.over_limit", claim, observed, e_value, sharing=self.look.sharing)

    def champion_over_limit(self) -> TestResult:
        """Return the test that the champion is over its limit; reported only, as the challenger is not to blame."""
        limit, (whole, *later) = self.look.policy.max_error_rate, self.look.evidence.since

        def counts(since: EventsSince) -> tuple[int, int]:
            bad, n = since.both.champion_failed + since.both.both_failed, since.both.requests
            if not self._only_pairs:
                bad, n = bad + since.champion.bad_errors, n + since.champion.requests
            return min(bad, n), n

        def e_value_since(since: EventsSince) -> float:
            return rate_e_value(*counts(since), limit=limit)

        e_value = since_start_or_later(e_value_since(whole), [(each.minute, e_value_since(each)) for each in later])
        observed = dict(zip(("champion_failed", "requests"), counts(whole), strict=True))
        claim = f"the champion's error rate over {limit:.2%}, since the start or lately"
        return self.look.result("champion.over_limit", claim, observed, e_value)

    def not_worse(self, metric: BadEvent, max_ratio: float, enough: float, seen: EventCounts) -> TestResult:
        """Return the test that the rate of `metric` is at most `max_ratio` times the champion's, or `enough`."""
        events = {"error": seen.errors, "slow": seen.slow, "wrong": seen.wrong}[metric]

        def e_value_at(factor: float) -> float:
            good, n = round(factor * (seen.requests - events)), round(factor * seen.requests)
            stages = _stages(self.look.evidence.steps, metric, factor)
            relative = bad_event_e_value(stages, max_ratio=max_ratio, alternative="not_worse")
            # "bad at most in 1 %" is "good in more than 99 %": the same test, with good and bad exchanged.
            return combine([relative, rate_e_value(good, n, limit=1 - enough)])

        claim = f"rate of {metric} at most {max_ratio:g} times the champion's, or at most {enough:.2%}"
        observed = self._arms(metric) | {f"scored_{metric}": events, "scored_requests": seen.requests}
        needed = self.look.needed(e_value_at, seen.requests, "requests")
        return self.look.result(f"{metric}.not_worse", claim, observed, e_value_at(1), needed=needed)

    @property
    def _only_pairs(self) -> bool:
        return self.look.policy.uses_pairs

    def _over(self, since: EventsSince, limit: float) -> float:
        """Return the e-value of the challenger over the limit; a failure that the champion shares does not count."""
        bad, n = since.both.challenger_failed, since.both.requests
        if not self._only_pairs:
            bad, n = bad + since.canary.bad_errors, n + since.canary.requests
        return rate_e_value(min(bad, n), n, limit=limit)

    def _not_as_good(self, since: EventsSince) -> float:
        """Return the e-value of the challenger failing more often; infinite if no champion served at the same time."""
        if since.challenger.requests and not since.incumbent.requests:
            return inf
        both, arms_apart = since.both, [] if self._only_pairs else _stages(since.steps, "error")
        # At the edge of an outage the champion fails half a second before the challenger gets the same request:
        # champion failures that the challenger has not scored yet count in the challenger's favour.
        alone = since.incumbent.bad_errors - (0 if self._only_pairs else since.champion.bad_errors)
        champion_failed = max(alone - both.both_failed, both.champion_failed)
        together = CanaryStep(0.5, both.challenger_failed, both.challenger_failed + champion_failed)
        pairs = None if champion_failed or both.both_failed else Pairs(both.requests, both.challenger_failed)
        return excess_failure_e_value([*arms_apart, together], pairs=pairs)

    def _cold(self, since: EventsSince) -> int:
        """Count the canary's slow answers at the first step."""
        first = self.look.policy.steps[0]
        return sum(step.canary.bad_slow for step in since.steps if isclose(step.weight, first))

    def _warm(self, since: EventsSince, forgiven: int) -> list[CanaryStep]:
        first = self.look.policy.steps[0]
        return [
            CanaryStep(s.share, s.canary_bad - forgiven, s.all_bad - forgiven) if isclose(s.share, first) else s
            for s in _stages(since.steps, "slow")
        ]

    def _arms(self, metric: BadEvent) -> dict[str, float]:
        return arms(self.look.evidence.canary, self.look.evidence.champion, metric)


def arms(canary: EventCounts, champion: EventCounts, metric: BadEvent) -> dict[str, float]:
    """Return the independent bad events of both arms, and the numbers of chances for one."""
    return {
        f"canary_{metric}": canary.bad(metric),
        "canary": canary.chances(metric),
        f"champion_{metric}": champion.bad(metric),
        "champion": champion.chances(metric),
    }


def _stages(steps: Sequence[StepCounts], metric: BadEvent, factor: float = 1.0) -> list[CanaryStep]:
    return [
        CanaryStep(
            share=step.weight,
            canary_bad=round(factor * step.canary.bad(metric)),
            all_bad=round(factor * (step.canary.bad(metric) + step.champion.bad(metric))),
        )
        for step in steps
    ]
