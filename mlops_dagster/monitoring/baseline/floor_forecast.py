"""Forecast, from a version's evaluation, of the losses that the macro-F1 floor can detect."""

from collections.abc import Mapping
from math import ceil

from mlops_dagster.monitoring.baseline.card_accuracy import LEFT
from mlops_dagster.monitoring.policy import PerformancePolicy
from mlops_dagster.registry.cards import EvaluationSlice, ProvableFloor
from mlops_dagster.statistics import DesignEffect, macro_f1_interval, macro_f1_under, metrics_from_confusion

WITHIN_REACH = 0.025
"""A floor is "within reach of chance" if an unchanged version falls below it in more than this share of windows."""

Confusion = Mapping[tuple[str, str], int]


def floor_forecast(
    evaluation: EvaluationSlice | None,
    policy: PerformancePolicy,
    rows_per_day: float | None,
    shared: DesignEffect | None = None,
) -> ProvableFloor:
    """Return how soon the floor has enough rows, how often chance breaks it, and how soon it detects a loss of a fifth.

    When the loss begins, the window is full of days like those of the evaluation. The share of windows that chance
    breaks uses the design effect `shared`; the floor itself takes rows to be independent.
    """
    counts = {} if evaluation is None else evaluation.counts
    confusion = {(truth, said): n for truth, row in counts.items() for said, n in row.items() if n}
    value = metrics_from_confusion(confusion).macro_f1 if confusion else None
    days = None if not rows_per_day else ceil(policy.min_labels / rows_per_day)
    days = None if days is None or days > policy.window_days else days
    if not confusion or days is None or rows_per_day is None:
        return ProvableFloor(floor=policy.floor, macro_f1=value, days_to_rows=days, by_chance=None, days_to_tell=None)
    window = rows_per_day * policy.window_days
    worth = 1.0 if shared is None else shared.at(rows_per_day).of_many_blocks
    return ProvableFloor(
        floor=policy.floor,
        macro_f1=value,
        days_to_rows=days,
        by_chance=macro_f1_under(confusion, policy.floor, rows=max(round(window / worth), 1)),
        days_to_tell=_days_to_tell(confusion, policy, rows_per_day),
    )


def floor_line(found: ProvableFloor, policy: PerformancePolicy, rows_per_day: float | None) -> str:
    """Return the forecast as one sentence."""
    name = f"The macro-F1 floor of {found.floor:g}"
    if found.macro_f1 is None:
        return f"{name}: nothing is known, for the card does not say how often each class was predicted."
    if rows_per_day is None:
        return f"{name}: no forecast, as the number of answers a day is unknown."
    if found.days_to_rows is None:
        return (
            f"{name} tells nothing: it needs {policy.min_labels:,} labels in {policy.window_days} days, and the "
            f"evaluation had {rows_per_day:,.0f} a day."
        )
    if found.macro_f1 < found.floor:
        return f"{name} is broken at once: the version was evaluated at {found.macro_f1:.3f}."
    tells = (
        f"a loss of a fifth of the accuracy is told after {_days(found.days_to_tell)} of it"
        if found.days_to_tell
        else "not even a loss of a fifth of the accuracy is told"
    )
    chance = found.by_chance or 0.0
    reach = "is within reach of chance" if chance > WITHIN_REACH else "is out of reach of chance"
    return (
        f"{name} {reach}: a version as evaluated ({found.macro_f1:.3f}) is under it in {chance:.1%} of windows. "
        f"It has labels enough after {_days(found.days_to_rows)}, and {tells}."
    )


def _days_to_tell(confusion: Confusion, policy: PerformancePolicy, rows_per_day: float) -> int | None:
    lost = _with_loss(confusion)
    total = sum(confusion.values())
    window = policy.window_days * rows_per_day
    for day in range(1, policy.window_days + 1):
        share = day / policy.window_days
        mixed = {
            pair: round((confusion.get(pair, 0) * (1 - share) + lost[pair] * share) / total * window) for pair in lost
        }
        if not any(mixed.values()):
            continue
        interval = macro_f1_interval(mixed)
        if interval is not None and interval[1] < policy.floor:
            return day
    return None


def _with_loss(confusion: Confusion) -> dict[tuple[str, str], float]:
    """Return `confusion` with a fifth of each class's right answers turned wrong, spread as its wrong ones are."""
    labels = sorted({label for pair in confusion for label in pair})
    seen: dict[str, dict[str, int]] = {}
    for (truth, said), n in confusion.items():
        if truth != said and n:
            seen.setdefault(truth, {})[said] = n
    found: dict[tuple[str, str], float] = {}
    for truth in labels:
        # 1,000 classes have a million possible pairs: only the pairs that were seen are counted.
        evenly = {} if truth in seen else {said: 1 for said in labels if said != truth}
        right, wrong = confusion.get((truth, truth), 0), seen.get(truth, {})
        moved = right * (1 - LEFT) if wrong or evenly else 0.0
        parts = wrong or evenly
        found[truth, truth] = right - moved
        found |= {(truth, said): wrong.get(said, 0) + moved * n / sum(parts.values()) for said, n in parts.items()}
    return found


def _days(number: int) -> str:
    return "1 day" if number == 1 else f"{number} days"
