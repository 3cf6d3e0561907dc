"""The floor: the decision about a champion with a low headline measure, such as macro-F1. Pure.

The champion is examined every day, so "the previous champion does better on the same labels" must be a proof that holds
however often it is tried. It is the paired e-value over one window that begins with the champion's promotion and only
grows (a sliding window would be a new test every day, and one in twenty of them would be wrong). The price: a champion
that was better for months and is worse since yesterday takes longer to be proven worse on all of its rows. Until then
an alert is open, and a new version is trained.

The e-value is of the loss, for which such a proof exists, but the floor is of the task's headline measure: so the
previous version must have the higher one on those labels as well. A version that only predicts the most frequent class
does not qualify.

The comparison of the measure with the floor is an estimate. Going back rests on the proof above and needs no other;
training a new version rests on the estimate alone, so it needs the whole 95 % interval under the floor. Each look errs
in that at most once in forty times, and the price of an error is one challenger too many.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from mlops_dagster.documents.texts import counted
from mlops_dagster.monitoring.policy import PerformancePolicy
from mlops_dagster.registry import Event
from mlops_dagster.rollout.comparison.comparison import Comparison, Standing
from mlops_dagster.tasks import UNKNOWN_TASK, Sums, Task

NOBODY = "there is no version to go back to"


class FloorOutcome(StrEnum):
    FINE = "fine"
    INCONCLUSIVE = "inconclusive"
    ALERT = "alert"
    RETRAIN = "retrain"
    ROLL_BACK = "roll_back"


@dataclass(frozen=True, slots=True)
class Headline:
    """The headline measure of `rows` answers with labels, such as macro-F1, and its 95 % interval.

    None without rows, or where the interval is not known, as with one class only.
    """

    rows: int
    value: float | None = None
    interval: tuple[float, float] | None = None
    measure: str = UNKNOWN_TASK.headline
    heading: str = UNKNOWN_TASK.headings[UNKNOWN_TASK.headline]


@dataclass(frozen=True, slots=True)
class FloorDecision:
    """The outcome for a champion, with the reason."""

    outcome: FloorOutcome
    reason: str
    to: str = ""
    """The version to go back to; empty unless the outcome is ROLL_BACK."""

    @property
    def under_alert(self) -> bool:
        """True if an alert is to be opened."""
        return self.outcome in (FloorOutcome.ALERT, FloorOutcome.RETRAIN, FloorOutcome.ROLL_BACK)


def under_floor(policy: PerformancePolicy, found: Headline) -> bool:
    """Return whether the measure of enough labels is under the floor: a reason to compare with the former champion."""
    return found.value is not None and found.rows >= policy.min_labels and found.value < policy.floor


def decide_floor(
    policy: PerformancePolicy, found: Headline, previous: Comparison | None, *, otherwise: str = NOBODY
) -> FloorDecision:
    """Decide about a champion with the headline measure `found`.

    `previous` compares the former champion (as challenger) with the present one, over all rows since its promotion; if
    there is no comparison, `otherwise` says why.

    >>> decide_floor(PerformancePolicy(), Headline(900, 0.85, (0.83, 0.87)), None)
    FloorDecision(outcome=<FloorOutcome.ALERT: 'alert'>, reason='macro-F1 0.850 is under 0.87 (900 rows)', to='')
    """
    if found.value is None or found.rows < policy.min_labels:
        return FloorDecision(FloorOutcome.INCONCLUSIVE, f"{found.rows} labelled rows, {policy.min_labels} are needed")
    measured = f"{found.heading} {found.value:.3f}"
    if found.value >= policy.alert:
        return FloorDecision(
            FloorOutcome.FINE, f"{measured} is not under {policy.alert:g} ({counted(found.rows, 'rows')})"
        )
    if not under_floor(policy, found):
        return FloorDecision(
            FloorOutcome.ALERT, f"{measured} is under {policy.alert:g} ({counted(found.rows, 'rows')})"
        )
    measured = f"{measured} is under the floor of {policy.floor:g} ({counted(found.rows, 'rows')})"
    if previous is not None and _does_better(previous):
        reason = f"{measured}, and {previous.challenger} does better on the same labels: {previous.reason}"
        return FloorDecision(FloorOutcome.ROLL_BACK, reason, to=previous.challenger)
    refuge = otherwise if previous is None else _no_refuge(previous)
    if found.interval is None or found.interval[1] >= policy.floor:
        return FloorDecision(FloorOutcome.ALERT, f"{measured}, which may be chance; {refuge}")
    return FloorDecision(FloorOutcome.RETRAIN, f"{measured}; {refuge}")


def headline_of(task: Task, sums: Sums, rows: int) -> Headline:
    """Return the headline measure of `rows` labelled answers with these sums."""
    name, heading = task.headline, task.headings[task.headline]
    if not rows:
        return Headline(0, measure=name, heading=heading)
    found = task.measures(sums)[name]
    return Headline(rows, found.value, found.interval, name, heading)


def champion_since(history: Sequence[Event]) -> datetime | None:
    """Return the time since which the present champion is champion; `history` is the model's, oldest first."""
    since, champion = None, None
    for event in history:
        if event.deployment.champion != champion:
            since, champion = event.at, event.deployment.champion
    return since if champion is not None else None


def _does_better(previous: Comparison) -> bool:
    values = _headlines(previous)
    return previous.verdict is Standing.SUPERIOR and values is not None and values[0] > values[1]


def _no_refuge(previous: Comparison) -> str:
    values, name = _headlines(previous), previous.headings[previous.headline]
    scores = "" if values is None else f" ({name} {values[0]:.3f} to {values[1]:.3f})"
    return f"{previous.challenger} is not proven to do better on the same labels{scores}; {previous.reason}"


def _headlines(previous: Comparison) -> tuple[float, float] | None:
    """Return the headline measures of the former champion and of the present one; None without rows."""
    old, present = previous.overall.challenger, previous.overall.champion
    if old is None or present is None:
        return None
    return old.value(previous.headline), present.value(previous.headline)
