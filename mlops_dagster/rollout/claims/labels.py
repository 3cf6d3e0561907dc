"""Tests of the labels: on requests that both versions predicted, or between the two arms.

Predictions of one day share causes, so counts are divided by the rows that are worth one observation. That number is
estimated where the challenger was evaluated, or stated by the policy; where it is not known, nothing is concluded
either way. Where the days of the rollout itself differ by more, nothing promotes. A challenger may still be taken out:
one that goes bad one night makes the days differ just so.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property

from mlops_dagster.rollout.claims.events import arms
from mlops_dagster.rollout.claims.paired_loss import paired_e_value, stratum_weights
from mlops_dagster.rollout.claims.rare_strata import missing_stratum
from mlops_dagster.rollout.claims.shared_causes import UNKNOWN, rows_per_observation
from mlops_dagster.rollout.entities import TestResult
from mlops_dagster.rollout.evidence import NO_EVENTS, ByStratum, LabelsSince, total
from mlops_dagster.rollout.look import Look, Needed, since_start_or_later
from mlops_dagster.statistics import Alternative, CanaryStep, bad_event_e_value, days_differ

_DOUBT = 2.0
"""Days proven to differ by this many times more than the design effect in use allows bar any promotion."""


@dataclass(frozen=True)
class LabelTests:
    """The tests of one look on labels."""

    look: Look

    def worse(self) -> TestResult:
        policy, (whole, *later) = self.look.policy, self.look.evidence.labels.since
        name, claim = "paired.worse", f"{self._either} more than {policy.margin:g} under the champion's"
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
        claim = f"{self._either} more than {policy.margin:g} under the old champion's since the promotion"
        e_value = 1.0 if self.missing is not None else self._pairs(watch, policy.margin, "worse")
        observed = _as_dict(watch)
        sharing, missing = self.look.sharing, self.missing
        return self.look.result("paired.worse_in_watch", claim, observed, e_value, sharing=sharing, missing=missing)

    def not_worse(self) -> TestResult:
        policy = self.look.policy
        if policy.uses_pairs:
            claim = f"{self._both} at most {policy.margin:g} under the champion's"
            return self._promotes("paired.not_worse", claim, policy.margin)
        max_ratio = policy.max_ratio.wrong
        return self._promotes(
            "wrong.not_worse", f"wrong at most {max_ratio:g} times as often as the champion", max_ratio
        )

    def superior(self) -> TestResult:
        if self.look.policy.uses_pairs:
            return self._promotes("paired.superior", f"{self._loss} over the champion's{self._beside}", 0.0)
        return self._promotes("wrong.superior", "wrong less often than the champion", 1.0)

    @cached_property
    def missing(self) -> str | None:
        """The reason why labels cannot prove anything in this rollout; None if there is none."""
        policy, rollout = self.look.policy, self.look.rollout
        if not policy.uses_pairs and policy.compares_strata(rollout.strata):
            name, share = min(rollout.strata.items(), key=lambda item: item[1])
            return (
                f"{rollout.truth_noun} {name} is {share:.2%} of the labels, and between two arms its loss is not seen; "
                "compare on pairs (paired: true), or set `loss: accuracy`"
            )
        if policy.loss == "balanced" and not self._weights:
            return (
                f"the shares of the labels are unknown: {rollout.challenger} was not trained here, so no balanced loss "
                "can be compared; train it here, or set `loss: accuracy`"
            )
        if self.rows_per_observation is None:
            return UNKNOWN.format(version=rollout.challenger)
        return missing_stratum(policy, rollout, self.look.evidence)

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
    def _loss(self) -> str:
        merit = self.look.rollout.merit
        return f"balanced {merit}" if self._weights else merit

    @property
    def _compares_both(self) -> bool:
        return bool(self._weights) and self.look.policy.loss == "auto"

    @property
    def _either(self) -> str:
        return f"{self._loss}, or {self.look.rollout.merit}," if self._compares_both else self._loss

    @property
    def _both(self) -> str:
        return f"{self._loss}, and {self.look.rollout.merit}," if self._compares_both else self._loss

    @property
    def _beside(self) -> str:
        merit, margin = self.look.rollout.merit, self.look.policy.margin
        return f", {merit} at most {margin:g} under it" if self._compares_both else ""

    @cached_property
    def _weights(self) -> Mapping[str, float]:
        return stratum_weights(self.look.policy, self.look.rollout.strata)

    def _pairs(self, outcomes: ByStratum, margin: float, alternative: Alternative, factor: float = 1.0) -> float:
        return paired_e_value(
            outcomes,
            self.look.policy,
            self.look.rollout.strata,
            margin=margin,
            alternative=alternative,
            rows_per_observation=self.rows_per_observation or 1.0,
            factor=factor,
        )

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
        needed: Needed | None = None,
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


def _as_dict(outcomes: ByStratum) -> dict[str, float]:
    pairs = total(outcomes)
    return {"wins": pairs.wins, "losses": pairs.losses, "ties": pairs.ties}
