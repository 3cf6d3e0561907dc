"""The macro-F1 floor: what is to be done about a champion that does badly. Pure.

The champion is looked at every day, so "the one before does better on the same labels" must be a proof that holds
however often one looks. It is the paired e-value over one window that begins with the champion's promotion and only
grows (a sliding window would be a new test every day, and one in twenty of them would be wrong). The price: a champion
that was better for months and is worse since yesterday takes longer to be proven worse on all of its rows. Until then
somebody is told, and a new version is trained.

The e-value is of accuracy, for which there is such a proof, and this is about macro-F1: so the version before must
have the higher macro-F1 on those labels as well. One that only says what is most frequent is no refuge.

Whether macro-F1 is under the floor is an estimate. Going back rests on the proof above and needs no other; training
a new version rests on the estimate alone, so it needs the whole 95 % interval under the floor. Each look errs in that
at most once in forty times, and the price of an error is one challenger too many.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from mlops_dagster.monitoring.policy import PerformancePolicy
from mlops_dagster.registry import Event
from mlops_dagster.rollout.comparison.comparison import Comparison, Standing
from mlops_dagster.statistics import macro_f1_interval, metrics_from_confusion

NOBODY = "there is nobody to go back to"


class FloorOutcome(StrEnum):
    FINE = "fine"
    INCONCLUSIVE = "inconclusive"
    ALERT = "alert"
    RETRAIN = "retrain"
    ROLL_BACK = "roll_back"


@dataclass(frozen=True, slots=True)
class MacroF1:
    """Of `rows` labelled answers, with its 95 % interval; no value without any, no interval where one class is seen."""

    rows: int
    value: float | None = None
    interval: tuple[float, float] | None = None


@dataclass(frozen=True, slots=True)
class FloorDecision:
    """What is to be done, and why."""

    outcome: FloorOutcome
    reason: str
    to: str = ""
    """Whom to go back to."""

    @property
    def under_alert(self) -> bool:
        """Whether somebody is to be told."""
        return self.outcome in (FloorOutcome.ALERT, FloorOutcome.RETRAIN, FloorOutcome.ROLL_BACK)


def under_floor(policy: PerformancePolicy, found: MacroF1) -> bool:
    """Whether there is a reason to compare the champion with the one before it."""
    return found.value is not None and found.rows >= policy.min_labels and found.value < policy.floor


def decide_floor(
    policy: PerformancePolicy, found: MacroF1, previous: Comparison | None, *, otherwise: str = NOBODY
) -> FloorDecision:
    """What to do about a champion with the macro-F1 `found`.

    `previous` holds the former champion (as challenger) against the present one, over all rows since its promotion;
    where there is none, `otherwise` says why.

    >>> decide_floor(PerformancePolicy(), MacroF1(900, 0.85, (0.83, 0.87)), None)
    FloorDecision(outcome=<FloorOutcome.ALERT: 'alert'>, reason='macro-F1 0.850 is under 0.87 (900 rows)', to='')
    """
    if found.value is None or found.rows < policy.min_labels:
        return FloorDecision(FloorOutcome.INCONCLUSIVE, f"{found.rows} labelled rows, {policy.min_labels} are needed")
    measured = f"macro-F1 {found.value:.3f}"
    if found.value >= policy.alert:
        return FloorDecision(FloorOutcome.FINE, f"{measured} is not under {policy.alert:g} ({found.rows:,} rows)")
    if not under_floor(policy, found):
        return FloorDecision(FloorOutcome.ALERT, f"{measured} is under {policy.alert:g} ({found.rows:,} rows)")
    measured = f"{measured} is under the floor of {policy.floor:g} ({found.rows:,} rows)"
    if previous is not None and _does_better(previous):
        reason = f"{measured}, and {previous.challenger} does better on the same labels: {previous.reason}"
        return FloorDecision(FloorOutcome.ROLL_BACK, reason, to=previous.challenger)
    refuge = otherwise if previous is None else _no_refuge(previous)
    if found.interval is None or found.interval[1] >= policy.floor:
        return FloorDecision(FloorOutcome.ALERT, f"{measured}, which may be chance; {refuge}")
    return FloorDecision(FloorOutcome.RETRAIN, f"{measured}; {refuge}")


def macro_f1_of(confusion: Mapping[tuple[str, str], int], classes: Collection[str] | None = None) -> MacroF1:
    """From how often each (true, predicted) pair occurred; the mean is over the `classes` of the model."""
    rows = sum(confusion.values())
    if not rows:
        return MacroF1(0)
    found = metrics_from_confusion(confusion, classes)
    return MacroF1(rows, found.macro_f1, macro_f1_interval(confusion, classes=classes))


def champion_since(history: Sequence[Event]) -> datetime | None:
    """Since when the present champion has been champion; `history` is the model's, oldest first."""
    since, champion = None, None
    for event in history:
        if event.deployment.champion != champion:
            since, champion = event.at, event.deployment.champion
    return since if champion is not None else None


def _does_better(previous: Comparison) -> bool:
    old, present = previous.overall.challenger, previous.overall.champion
    proven = previous.verdict is Standing.SUPERIOR
    return proven and old is not None and present is not None and old.macro_f1 > present.macro_f1


def _no_refuge(previous: Comparison) -> str:
    old, present = previous.overall.challenger, previous.overall.champion
    scores = "" if old is None or present is None else f" (macro-F1 {old.macro_f1:.3f} to {present.macro_f1:.3f})"
    return f"{previous.challenger} is not proven to do better on the same labels{scores}; {previous.reason}"
