"""The weighing of drift: drift that moves scores or answers asks for a retraining more readily than other drift.

A feature may move without harm (a season, a new branch). Harm shows in the model's scores at once, and in wrong answers
once labels are known. Without evidence of either kind a drifted feature asks; evidence of labels counts for more than
that of scores.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from mlops_dagster.monitoring import Harm, Verdict
from mlops_dagster.retraining.signals import DriftSignal


@dataclass(frozen=True, slots=True)
class Weighed:
    """The verdict on drift: if it asks for a retraining, and the reason."""

    asks: bool
    reason: str

    @property
    def sentence(self) -> str:
        """The decision as a sentence for reports."""
        return f"Drift asks for {'a' if self.asks else 'no'} retraining: {self.reason}."


_NO_REASON = {
    Verdict.STABLE: "no drift",
    Verdict.MONITOR: "drift, but none over the limit for a retraining",
    Verdict.INCONCLUSIVE: "drift cannot be told",
}


def weigh(drift: DriftSignal, harm: Mapping[str, str] | None) -> Weighed:
    """Weigh a drift report by what its drift does to the scores and, by labels, to the answers.

    `harm` is what each drifted feature has to do with wrong answers, a `Harm`, as far as the daily report says that was
    in force at the time of the drift report; None if none was, which the reason says. In this order:

    1. A report whose verdict is not `retrain` asks for nothing.
    2. Scores with the verdict `retrain` ask.
    3. A feature with the verdict `retrain` that came with a loss asks.
    4. If each of those features came with no loss, none asks.
    5. If the scores are stable, none asks; if they moved, or are inconclusive, the features ask.

    >>> temp = DriftSignal("retrain", ("temp",), score="stable")
    >>> weigh(temp, {})
    Weighed(asks=False, reason='drift of temp, which moves neither the scores nor, as far as labels say, the answers')
    >>> weigh(temp, None).reason
    'drift of temp, which does not move the scores; no daily report of this champion was known'
    >>> weigh(temp, {"temp": "came_with_loss"})
    Weighed(asks=True, reason='drift of temp, of which temp came with wrong answers')
    """
    if drift.verdict != Verdict.RETRAIN:
        known = drift.verdict in list(Verdict)
        said = _NO_REASON[Verdict(drift.verdict) if known else Verdict.INCONCLUSIVE]
        return Weighed(False, f"{said}: {drift.why}" if drift.why else said)
    if drift.score == Verdict.RETRAIN:
        return Weighed(
            True, f"drift of the scores{drift.score_numbers}" + (f" and of {drift.named}" if drift.features else "")
        )
    reason = f"drift of {drift.named}"
    if harm is None:
        found = _by_scores(drift, reason)
        return Weighed(found.asks, f"{found.reason}; no daily report of this champion was known")
    harmful = [name for name in drift.features if harm.get(name) == Harm.CAME_WITH_LOSS]
    if harmful:
        return Weighed(True, f"{reason}, of which {', '.join(harmful[:3])} came with wrong answers")
    if drift.features and all(harm.get(name) == Harm.NO_LOSS for name in drift.features):
        return Weighed(False, f"{reason}, but labels show no loss with it")
    if drift.score == Verdict.STABLE:
        return Weighed(False, f"{reason}, which moves neither the scores nor, as far as labels say, the answers")
    return _by_scores(drift, reason)


def _by_scores(drift: DriftSignal, reason: str) -> Weighed:
    if drift.score == Verdict.STABLE:
        return Weighed(False, f"{reason}, which does not move the scores")
    if drift.score == Verdict.MONITOR:
        return Weighed(True, f"{reason}, which moves the scores{drift.score_numbers}")
    return Weighed(True, f"{reason}; whether it moves the scores cannot be told")
