"""Evaluation of evidence by tests: the proven claims about the challenger, with the arithmetic.

There is one alpha for the whole rollout, the bake after the promotion included. Each of the five "worse" e-values
(errors, slow answers, accuracy, the absolute error limit; accuracy once more since the promotion) is at most a mixture
of test martingales while the challenger is no worse in that respect: it starts at 1 and its mean never rises, whenever
and however often it is computed. The same holds for their average

    E = (E_error + E_slow + E_accuracy + E_limit + E_accuracy_watch) / 5

and by Ville's inequality a challenger that is no worse in any of them ever reaches E >= 1/alpha with probability at
most alpha: all looks, steps and metrics together. The price is that one metric alone needs an e-value of 5/alpha.
(Five separate tests at alpha/5 ask for the same, and give nothing for two metrics that point the same way.)

Slow answers, accuracy and the error limit bet from the start on and anew from every later minute (`look.py`), so a good
past does not protect a challenger that turns bad late. The e-value of the bake stays at 1 until the promotion, and bets
only on later events: after 6,000 pairs that were as good, a version that is suddenly 10 points worse takes 300 pairs
there.

The error limit takes out a challenger that is over it and not as good as its champion on the same requests at the same
time: E_limit is the smaller of two e-values, one for each claim, hence an e-value while one of them is false. A failure
that both share is caused by the request, and an outage of both tells nothing about either (`statistics/excess.py`).

A promotion needs the proof of every metric, each at alpha: a challenger that is worse in one of them must pass the test
of that metric, which happens with probability at most alpha, so no correction is needed. Errors and slow answers count
as no worse either relative to the champion or under an absolute limit (if no request ever fails, there is nothing to
compare); if neither holds, both e-values are valid, and so is their average.

The counts are independent: the first bad event of a routing key, or else of the request; of labels one row for each key
or input (`predictions/units.py`), from times whose labels are complete (`claims/cohorts.py`), divided by the number of
rows that share a day's causes (`claims/labels.py`). If any of these is not known, the test is inconclusive and proves
nothing.
"""

from dataclasses import dataclass

from mlops_dagster.rollout.claims.events import EventTests
from mlops_dagster.rollout.claims.labels import LabelTests
from mlops_dagster.rollout.entities import Rollout, TestResult
from mlops_dagster.rollout.evidence import Evidence
from mlops_dagster.rollout.look import Look
from mlops_dagster.rollout.policy import RolloutPolicy
from mlops_dagster.statistics import combine


@dataclass(frozen=True)
class Tests:
    """All tests of one look, by their effect."""

    rollback: TestResult
    """The average of `worse`: the only test that rolls back."""
    worse: tuple[TestResult, ...]
    not_worse: tuple[TestResult, ...]
    """One test per metric; all of them together promote at the deadline."""
    superior: TestResult
    champion: TestResult
    """The test whether the champion breaks its error limit, which only raises an alert."""

    @property
    def all(self) -> tuple[TestResult, ...]:
        return (self.rollback, *self.worse, *self.not_worse, self.superior, self.champion)

    @property
    def leaning(self) -> tuple[TestResult, ...]:
        """The tests with more evidence for worse than against it, whether or not that is a proof."""
        against = {test.metric: test.e_value for test in self.not_worse}
        return tuple(test for test in self.worse if test.e_value > max(1.0, against[test.metric]))

    @property
    def inconclusive(self) -> str | None:
        """The reason why labels cannot promote anything in this rollout; None if there is none."""
        return self.superior.needed if self.superior.verdict == "inconclusive" else None


def evaluate(policy: RolloutPolicy, rollout: Rollout, evidence: Evidence, *, forecast: bool = False) -> Tests:
    """Run every test of `policy` on `evidence`; `rollout` has the highest e-values of the looks before this one.

    With `forecast`, an open test that may promote says how much more evidence it would take, which costs ten times the
    time of the tests.
    """
    look = Look(policy, rollout, evidence, forecast)
    events, labels = EventTests(look), LabelTests(look)
    worse = (
        events.errors_worse(),
        events.slow_worse(),
        labels.worse(),
        events.over_error_limit(),
        *([labels.worse_in_watch()] if policy.uses_pairs else []),
    )
    not_worse = (
        events.not_worse("error", policy.max_ratio.error, policy.max_error_rate, evidence.challenger),
        events.not_worse("slow", policy.max_ratio.slow, policy.max_slow_rate, evidence.canary + evidence.watch),
        labels.not_worse(),
    )
    parts = {test.name: test.e_value for test in worse}
    claim = "the challenger is worse than it may be: the average of all `worse` and `over_limit` tests"
    rollback = look.result("rollback.worse", claim, parts, combine(list(parts.values())))
    return Tests(rollback, worse, not_worse, labels.superior(), events.champion_over_limit())
