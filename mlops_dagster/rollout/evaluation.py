"""Evidence into tests: which claims about the challenger are proven, and by what arithmetic.

One alpha for the whole rollout, the watch after the promotion included. Each of the five "worse" e-values (errors, slow
answers, accuracy, the absolute error limit; accuracy once more since the promotion) is a mixture of test
martingales or less while the challenger is no worse in that respect: it starts at 1 and its mean never rises, whenever
and however often one looks. So does their average

    E = (E_error + E_slow + E_accuracy + E_limit + E_accuracy_watch) / 5

and by Ville's inequality a challenger that is no worse in any of them ever reaches E >= 1/alpha with probability at
most alpha: all looks, steps and metrics together. The price is that one metric alone needs an e-value of 5/alpha.
(Five separate tests at alpha/5 ask for the same, and give nothing for two metrics that point the same way.)

The one of the watch stays at 1 until the promotion, and bets on nothing but what comes after it. The others go on too,
but a challenger was promoted because it did well, and their bets against it are all but lost by then: after 6,000
pairs that were as good, one that is suddenly 10 points worse takes 2,800 more to prove on all pairs, and 300 on those
since the promotion. Errors and slow answers relative to the champion's stay as they are then: only one arm answers.

The error limit needs no such second test, since one that goes bad late is not to be saved by its past at any time.
E_s bets on nothing but the requests from minute s of the rollout on (before that it is 1), and with weights w_s that
are fixed beforehand and sum to 1

    E_limit = sum_s w_s E_s,    w_0 = 1/2,    w_s = 1/4 / week, each minute of a second week half of that, and so on

is one more mixture of test martingales. Of its minutes only those of `Evidence.recent` are looked at: E_s that are
left out make E_limit smaller, so which they are may depend on anything. A late start costs a factor of 20,160 against
an early one, 10 nats or some 240 requests of which 5 % fail; the past costs nothing any more (docs/decisions/0018).

A promotion needs the proof of every metric, each at alpha: a challenger that is worse in one of them must get past
that one's test, which happens with probability at most alpha, so no correction is due. Errors and slow answers count
as no worse either relative to the champion or under an absolute limit (where nothing ever fails there is nothing to
compare); where neither holds both e-values are valid, and so is their average.

A canary starts cold, and at a share of 1 % three slow answers in a row would be proof. So its first slow answers at the
first step (`cold_start`) are left out of the bets against it, though not of the proof that it is no slower.

All of this takes one label's, or one request's, chances to be no worse than allowed given those before it. Where many
share one cause (the flights of a stormy hour) the challenger must hold up in that hour too, not only on average.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import isclose

from mlops_dagster.rollout.entities import TestResult
from mlops_dagster.rollout.evidence import BadEvent, EventCounts, Evidence, PairedCounts
from mlops_dagster.rollout.forecast import about, growth_needed
from mlops_dagster.rollout.policy import RolloutPolicy
from mlops_dagster.statistics import Stage, anytime_p, bad_event_e_value, combine, paired_e_value, rate_e_value

_WEEK = 7 * 24 * 60  # minutes; about as long as a rollout may take


@dataclass(frozen=True)
class Tests:
    """All tests of one look, by what they can do."""

    rollback: TestResult
    """The average of `worse`: the only one that rolls back."""
    worse: tuple[TestResult, ...]
    not_worse: tuple[TestResult, ...]
    """One per metric; all of them together promote at the deadline."""
    superior: TestResult

    @property
    def all(self) -> tuple[TestResult, ...]:
        return (self.rollback, *self.worse, *self.not_worse, self.superior)

    @property
    def leaning(self) -> tuple[TestResult, ...]:
        """Where the evidence speaks for worse, and louder than against it, though it proves nothing yet."""
        against = {test.metric: test.e_value for test in self.not_worse}
        return tuple(test for test in self.worse if test.e_value > max(1.0, against[test.metric]))


def evaluate(policy: RolloutPolicy, peaks: Mapping[str, float], evidence: Evidence, *, forecast: bool = False) -> Tests:
    """Every test of `policy` on `evidence`; `peaks` are the highest e-values of the looks before this one.

    With `forecast` an open test that may promote says what more it would take, which costs ten times the tests.
    """
    look = _Look(policy, peaks, evidence, forecast)
    worse = (
        look.errors_worse(),
        look.slow_worse(),
        look.pairs_worse() if policy.uses_pairs else look.wrong_worse(),
        look.over_error_limit(),
        *([look.pairs_worse_in_watch()] if policy.uses_pairs else []),
    )
    not_worse = (
        look.bad_events_not_worse("error", policy.theta.error, policy.max_error_rate, evidence.challenger),
        look.bad_events_not_worse("slow", policy.theta.slow, policy.max_slow_rate, evidence.canary + evidence.watch),
        look.pairs_not_worse() if policy.uses_pairs else look.wrong_not_worse(),
    )
    superior = look.pairs_superior() if policy.uses_pairs else look.wrong_superior()
    return Tests(look.any_worse(worse), worse, not_worse, superior)


@dataclass(frozen=True)
class _Look:
    """Builds the tests. `e_value_at(factor)` is the e-value if all counts were `factor` times what they are."""

    policy: RolloutPolicy
    peaks: Mapping[str, float]
    evidence: Evidence
    forecast: bool

    @property
    def sharing(self) -> int:
        """How many e-values share the alpha of a rollback. Without pairs nothing tells accuracy in the watch."""
        return 5 if self.policy.uses_pairs else 4

    def any_worse(self, worse: tuple[TestResult, ...]) -> TestResult:
        parts = {test.name: test.e_value for test in worse}
        claim = "the challenger is worse than it may be: the average of all `worse` and `over_limit` tests"
        return self._result("rollback.worse", claim, parts, combine(list(parts.values())))

    def errors_worse(self) -> TestResult:
        return self._bad_events_worse("error", self.policy.theta.error, self._stages("error"), {})

    def wrong_worse(self) -> TestResult:
        return self._bad_events_worse("wrong", self.policy.theta.wrong, self._stages("wrong"), {})

    def slow_worse(self) -> TestResult:
        stages = self._stages("slow")
        cold = [_cold(stage, self.policy) for stage in stages]
        warm = [Stage(s.share, s.canary_bad - n, s.all_bad - n) for s, n in zip(stages, cold, strict=True)]
        return self._bad_events_worse("slow", self.policy.theta.slow, warm, {"canary_cold": sum(cold)})

    def over_error_limit(self) -> TestResult:
        limit, seen = self.policy.max_error_rate, self.evidence.challenger
        since = [(1 / 2, 0, seen.bad_errors, seen.requests)]
        since += [(_weight(late.minute), late.minute, late.bad_errors, late.requests) for late in self.evidence.recent]
        parts = [(weight * rate_e_value(bad, n, limit=limit), minute, bad, n) for weight, minute, bad, n in since]
        _, minute, bad, n = max(parts, key=lambda part: part[0])
        observed = {"scored_error": bad, "scored_requests": n, "since_minute": minute}
        claim = f"error rate over {limit:.2%}, since the start or lately"
        return self._result("error.over_limit", claim, observed, sum(part[0] for part in parts), sharing=self.sharing)

    def pairs_worse(self) -> TestResult:
        claim = f"accuracy more than {self.policy.margin:g} under the champion's"
        return self._pairs_worse("paired.worse", claim, self.evidence.paired)

    def pairs_worse_in_watch(self) -> TestResult:
        claim = f"accuracy more than {self.policy.margin:g} under the old champion's since the promotion"
        return self._pairs_worse("paired.worse_in_watch", claim, self.evidence.watch_paired)

    def bad_events_not_worse(self, metric: BadEvent, theta: float, enough: float, seen: EventCounts) -> TestResult:
        """Relative to the champion, or absolutely: `enough` is a rate that will do, held against `seen`."""

        def e_value_at(factor: float) -> float:
            good, n = round(factor * (seen.requests - seen.all(metric))), round(factor * seen.requests)
            relative = bad_event_e_value(self._stages(metric, factor), theta=theta, alternative="not_worse")
            # "bad at most in 1 %" is "good in more than 99 %": the same test, seen from the other side.
            return combine([relative, rate_e_value(good, n, limit=1 - enough)])

        claim = f"rate of {metric} at most {theta:g} times the champion's, or at most {enough:.2%}"
        observed = self._arms(metric) | {f"scored_{metric}": seen.all(metric), "scored_requests": seen.requests}
        needed = self._needed(e_value_at, seen.requests, "requests")
        return self._result(f"{metric}.not_worse", claim, observed, e_value_at(1), needed=needed)

    def pairs_not_worse(self) -> TestResult:
        margin = self.policy.margin
        claim = f"accuracy at most {margin:g} under the champion's"
        return self._pairs_promote("paired.not_worse", claim, margin)

    def pairs_superior(self) -> TestResult:
        return self._pairs_promote("paired.superior", "accuracy over the champion's", 0.0)

    def wrong_not_worse(self) -> TestResult:
        theta = self.policy.theta.wrong
        return self._wrong_promotes("wrong.not_worse", f"wrong at most {theta:g} times as often as the champion", theta)

    def wrong_superior(self) -> TestResult:
        return self._wrong_promotes("wrong.superior", "wrong less often than the champion", 1.0)

    def _bad_events_worse(
        self, metric: BadEvent, theta: float, stages: list[Stage], left_out: Mapping[str, float]
    ) -> TestResult:
        claim = f"rate of {metric} over {theta:g} times the champion's"
        e_value = bad_event_e_value(stages, theta=theta)
        return self._result(f"{metric}.worse", claim, {**self._arms(metric), **left_out}, e_value, sharing=self.sharing)

    def _pairs_worse(self, name: str, claim: str, pairs: PairedCounts) -> TestResult:
        e_value = paired_e_value(pairs.wins, pairs.losses, pairs.ties, margin=self.policy.margin)
        return self._result(name, claim, _as_dict(pairs), e_value, sharing=self.sharing)

    def _pairs_promote(self, name: str, claim: str, margin: float) -> TestResult:
        pairs = self.evidence.paired

        def e_value_at(factor: float) -> float:
            grown = (round(factor * count) for count in (pairs.wins, pairs.losses, pairs.ties))
            return paired_e_value(*grown, margin=margin, alternative="not_worse")

        needed = self._needed(e_value_at, pairs.total, "paired labels")
        return self._result(name, claim, _as_dict(pairs), e_value_at(1), needed=needed)

    def _wrong_promotes(self, name: str, claim: str, theta: float) -> TestResult:
        def e_value_at(factor: float) -> float:
            return bad_event_e_value(self._stages("wrong", factor), theta=theta, alternative="not_worse")

        needed = self._needed(e_value_at, self.evidence.canary.labelled, "labels of the canary's answers")
        return self._result(name, claim, self._arms("wrong"), e_value_at(1), needed=needed)

    def _stages(self, metric: BadEvent, factor: float = 1.0) -> list[Stage]:
        return [
            Stage(
                share=step.weight,
                canary_bad=round(factor * step.canary.bad(metric)),
                all_bad=round(factor * (step.canary.bad(metric) + step.champion.bad(metric))),
            )
            for step in self.evidence.steps
        ]

    def _arms(self, metric: BadEvent) -> dict[str, float]:
        canary, champion = self.evidence.canary, self.evidence.champion
        return {
            f"canary_{metric}": canary.bad(metric),
            "canary": canary.chances(metric),
            f"champion_{metric}": champion.bad(metric),
            "champion": champion.chances(metric),
        }

    def _needed(self, e_value_at: Callable[[float], float], count: int, of: str) -> str | None:
        if not self.forecast:
            return None
        if not count:
            return f"the first {of}"
        growth = growth_needed(e_value_at, 1 / self.policy.alpha)
        return (
            f"about {about((growth - 1) * count)} more {of}"
            if growth
            else f"a change: more {of} like these prove nothing"
        )

    def _result(
        self,
        name: str,
        claim: str,
        observed: Mapping[str, float],
        e_value: float,
        *,
        sharing: int = 1,
        needed: str | None = None,
    ) -> TestResult:
        limit, peak = sharing / self.policy.alpha, max(e_value, self.peaks.get(name, 0.0))
        proven = peak >= limit
        return TestResult(
            name=name,
            claim=claim,
            observed=observed,
            e_value=e_value,
            limit=limit,
            p=anytime_p(peak),
            verdict="proven" if proven else "open",
            needed=None if proven else needed,
        )


def _weight(minute: int) -> float:
    """Of the bets that begin with a minute of the rollout after its first; all of them together have 1/2.

    >>> week = 7 * 24 * 60
    >>> _weight(1) == _weight(week) == 0.25 / week, _weight(week + 1) == 0.125 / week
    (True, True)
    """
    return 0.25 / _WEEK * 0.5 ** ((minute - 1) // _WEEK)


def _cold(stage: Stage, policy: RolloutPolicy) -> int:
    """How many of the canary's slow answers are put down to its cold start: the first ones of the first step.

    What is left is a bet that begins after them, and loses before what the champion's slow answers cost it: still no
    more than a test martingale, whatever those first ones were.

    >>> [_cold(Stage(share, 70, 200), RolloutPolicy()) for share in (0.01, 0.05)]
    [50, 0]
    """
    return min(stage.canary_bad, policy.cold_start) if isclose(stage.share, policy.steps[0]) else 0


def _as_dict(pairs: PairedCounts) -> dict[str, float]:
    return {"wins": pairs.wins, "losses": pairs.losses, "ties": pairs.ties}
