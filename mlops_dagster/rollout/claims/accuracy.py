"""Tests of the labels: on requests that both versions predicted, or between the two arms.

Predictions of one day share causes, so counts are divided by the number of rows that are worth one observation. That
number is estimated where the challenger was evaluated, or stated by the policy; if it is not known, the tests are
inconclusive in both directions. If the days of the rollout itself differ by more than that, no test promotes. A
challenger may still be taken out: one that turns bad one night makes the days differ in just this way.

The loss is that of the gate. If a class is rarer than the margin allows, it is the mean of the classes' losses: a
prediction of class c with share p_c counts as p_rarest / p_c of one of the rarest class, and the margin d on the mean
of K classes becomes d K p_rarest on that scale.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property

from mlops_dagster.rollout.claims.events import arms
from mlops_dagster.rollout.claims.rare_classes import missing_class
from mlops_dagster.rollout.claims.shared_causes import UNKNOWN, rows_per_observation
from mlops_dagster.rollout.entities import TestResult
from mlops_dagster.rollout.evidence import NO_EVENTS, ByClass, LabelsSince, total
from mlops_dagster.rollout.look import Look, since_start_or_later
from mlops_dagster.statistics import Alternative, CanaryStep, bad_event_e_value, days_differ, difference_e_value

_DOUBT = 2.0
"""Days proven to differ by this many times more than the design effect in use allows bar any promotion."""


@dataclass(frozen=True)
class AccuracyTests:
    """The accuracy tests of one look."""

    look: Look

    def worse(self) -> TestResult:
        policy, (whole, *later) = self.look.policy, self.look.evidence.labels.since
        name, claim = "paired.worse", f"{self._what} more than {policy.margin:g} under the champion's"
        e_value_since: Callable[[LabelsSince], float] = self._pairs_worse_since
        if not policy.uses_pairs:
            name, claim = "wrong.worse", f"rate of wrong over {policy.max_ratio.wrong:g} times the champion's"
            e_value_since = self._wrong_worse_since
        e_value = 1.0
        if self.missing is None:
            e_value = since_start_or_later(e_value_since(whole), [(each.minute, e_value_since(each)) for each in later])
        claim = f"{claim}, since the start or lately"
        return self._result(name, claim, e_value, self.missing, sharing=self.look.sharing)

    def worse_in_watch(self) -> TestResult:
        policy, watch = self.look.policy, self.look.evidence.labels.watch or {}
        claim = f"{self._what} more than {policy.margin:g} under the old champion's since the promotion"
        e_value = 1.0 if self.missing is not None else self._pairs(watch, policy.margin, "worse")
        observed = _as_dict(watch)
        sharing, missing = self.look.sharing, self.missing
        return self.look.result("paired.worse_in_watch", claim, observed, e_value, sharing=sharing, missing=missing)

    def not_worse(self) -> TestResult:
        policy = self.look.policy
        if policy.uses_pairs:
            claim = f"{self._what} at most {policy.margin:g} under the champion's"
            return self._promotes("paired.not_worse", claim, policy.margin)
        max_ratio = policy.max_ratio.wrong
        return self._promotes(
            "wrong.not_worse", f"wrong at most {max_ratio:g} times as often as the champion", max_ratio
        )

    def superior(self) -> TestResult:
        if self.look.policy.uses_pairs:
            return self._promotes("paired.superior", f"{self._what} over the champion's", 0.0)
        return self._promotes("wrong.superior", "wrong less often than the champion", 1.0)

    @cached_property
    def missing(self) -> str | None:
        """The reason why labels cannot prove anything in this rollout; None if there is none."""
        policy, rollout = self.look.policy, self.look.rollout
        if not policy.uses_pairs and policy.compares_classes(rollout.classes):
            name, share = min(rollout.classes.items(), key=lambda item: item[1])
            return (
                f"class {name} is {share:.2%} of the labels, and between two arms its loss is not seen; compare on "
                "pairs (paired: true), or set `loss: accuracy`"
            )
        if policy.loss == "balanced" and not self._weights:
            return (
                f"the shares of the classes are unknown: {rollout.challenger} was not trained here, so no balanced "
                "loss can be compared; train it here, or set `loss: accuracy`"
            )
        if self.rows_per_observation is None:
            return UNKNOWN.format(version=rollout.challenger)
        return missing_class(policy, rollout, self.look.evidence)

    @cached_property
    def doubt(self) -> str | None:
        """The reason why labels cannot promote; None if there is none."""
        if self.missing is not None or not self.look.policy.uses_pairs:
            return self.missing
        reckoned, by_day = self.rows_per_observation or 1.0, self.look.evidence.labels.days
        days = [(day.wins, day.losses, day.ties) for day in by_day]
        shown = days_differ(days, rows_per_observation=_DOUBT * reckoned)
        if shown is None:
            return None
        return (
            f"the days of the rollout differ as if {shown:.3g} rows were one, reckoned was with {reckoned:.3g}; state "
            "more `rollout.rows_per_observation`, or evaluate on more days"
        )

    @cached_property
    def rows_per_observation(self) -> float | None:
        """The number that the policy states, or the evaluation shows at the rollout's traffic; None if unknown."""
        evidence, rollout = self.look.evidence, self.look.rollout
        days = max((evidence.through - rollout.started_at) / timedelta(days=1), 1.0)
        return rows_per_observation(self.look.policy, [rollout.shared], evidence.labels.units / days)

    @property
    def _what(self) -> str:
        return "balanced accuracy" if self._weights else "accuracy"

    @cached_property
    def _weights(self) -> Mapping[str, float]:
        """The weight of one prediction by class; empty if every prediction counts the same."""
        policy, shares = self.look.policy, {name: p for name, p in self.look.rollout.classes.items() if p > 0}
        if not policy.compares_classes(shares):
            return {}
        return {name: min(shares.values()) / share for name, share in shares.items()}

    def _pairs(self, outcomes: ByClass, margin: float, alternative: Alternative, factor: float = 1.0) -> float:
        weights = self._weights
        if weights:
            # 1 / sum of 1 / p_c is p_rarest / sum of weights: the weights are in units of the rarest.
            margin *= len(weights) * min(self.look.rollout.classes[name] for name in weights)
        cells = [
            (sign * weights.get(label, 1.0), factor * count)
            for label, its in outcomes.items()
            for sign, count in ((-1.0, its.wins), (1.0, its.losses), (0.0, its.ties))
        ]
        rows = self.rows_per_observation or 1.0
        return difference_e_value(cells, margin=margin, alternative=alternative, rows_per_observation=rows)

    def _pairs_worse_since(self, since: LabelsSince) -> float:
        return self._pairs(since.outcomes, self.look.policy.margin, "worse")

    def _wrong_worse_since(self, since: LabelsSince) -> float:
        return self._wrong(since, self.look.policy.max_ratio.wrong, "worse")

    def _wrong(self, since: LabelsSince, max_ratio: float, alternative: Alternative, factor: float = 1.0) -> float:
        stages = [
            CanaryStep(step.weight, round(factor * canary), round(factor * (canary + step.champion.bad_wrong)))
            for step in since.steps
            for canary in (step.canary.bad_wrong,)
        ]
        rows = self.rows_per_observation or 1.0
        return bad_event_e_value(stages, max_ratio=max_ratio, alternative=alternative, rows_per_observation=rows)

    def _promotes(self, name: str, claim: str, limit: float) -> TestResult:
        """Return a test that promotes; `limit` is a margin of pairs, or between arms the allowed ratio of errors."""
        labels = self.look.evidence.labels
        whole, pairs = labels.since[0], self.look.policy.uses_pairs

        def e_value_at(factor: float) -> float:
            if pairs:
                return self._pairs(whole.outcomes, limit, "not_worse", factor)
            return self._wrong(whole, limit, "not_worse", factor)

        count, of = (labels.paired.total, "paired labels") if pairs else (labels.canary.unit_labels, _ANSWERS)
        if self.doubt is not None:
            return self._result(name, claim, 1.0, self.doubt)
        return self._result(name, claim, e_value_at(1), None, needed=self.look.needed(e_value_at, count, of))

    def _result(
        self,
        name: str,
        claim: str,
        e_value: float,
        missing: str | None,
        *,
        sharing: int = 1,
        needed: str | None = None,
    ) -> TestResult:
        labels = self.look.evidence.labels
        whole = labels.since[0]
        observed = _as_dict(whole.outcomes) if self.look.policy.uses_pairs else self._arms(whole)
        observed = {**observed, "rows_per_observation": self.rows_per_observation or 0.0}
        return self.look.result(name, claim, observed, e_value, sharing=sharing, needed=needed, missing=missing)

    def _arms(self, since: LabelsSince) -> dict[str, float]:
        canary = sum((step.canary for step in since.steps), NO_EVENTS)
        champion = sum((step.champion for step in since.steps), NO_EVENTS)
        return arms(canary, champion, "wrong")


_ANSWERS = "labels of the canary's answers"


def _as_dict(outcomes: ByClass) -> dict[str, float]:
    pairs = total(outcomes)
    return {"wins": pairs.wins, "losses": pairs.losses, "ties": pairs.ties}
