"""Forecast, from a version's evaluation, of the losses that the floor of its headline measure can detect."""

from math import ceil

from mlops_dagster.monitoring.baseline.card_accuracy import LEFT
from mlops_dagster.monitoring.policy import PerformancePolicy
from mlops_dagster.registry.cards import EvaluationSlice, ProvableFloor
from mlops_dagster.statistics import DesignEffect
from mlops_dagster.tasks import Outlook, Task

WITHIN_REACH = 0.025
"""A floor is "within reach of chance" if an unchanged version falls below it in more than this share of windows."""


def floor_forecast(
    evaluation: EvaluationSlice | None,
    policy: PerformancePolicy,
    rows_per_day: float | None,
    shared: DesignEffect | None,
    task: Task,
) -> ProvableFloor:
    """Return how soon the floor has enough rows, how often chance breaks it, and how soon it detects a loss of a fifth.

    When the loss begins, the window is full of days like those of the evaluation. The share of windows that chance
    breaks uses the design effect `shared`; the floor itself takes rows to be independent.
    """
    outlook = None if evaluation is None else task.outlook(evaluation.counts)
    value = None if outlook is None else outlook.value
    days = None if not rows_per_day else ceil(policy.min_labels / rows_per_day)
    days = None if days is None or days > policy.window_days else days
    if outlook is None or days is None or rows_per_day is None:
        return ProvableFloor(floor=policy.floor, evaluated=value, days_to_rows=days, by_chance=None, days_to_tell=None)
    window = rows_per_day * policy.window_days
    worth = 1.0 if shared is None else shared.at(rows_per_day).of_many_blocks
    return ProvableFloor(
        floor=policy.floor,
        evaluated=value,
        days_to_rows=days,
        by_chance=outlook.chance_under(policy.floor, max(round(window / worth), 1)),
        days_to_tell=_days_to_tell(outlook, policy, rows_per_day),
    )


def floor_line(found: ProvableFloor, policy: PerformancePolicy, rows_per_day: float | None, task: Task) -> str:
    """Return the forecast as one sentence."""
    name = f"The {task.headings[task.headline]} floor of {found.floor:g}"
    if found.evaluated is None:
        return f"{name}: nothing is known, for the card does not say how often each {task.truth_noun} was predicted."
    if rows_per_day is None:
        return f"{name}: no forecast, as the number of answers a day is unknown."
    if found.days_to_rows is None:
        return (
            f"{name} tells nothing: it needs {policy.min_labels:,} labels in {policy.window_days} days, and the "
            f"evaluation had {rows_per_day:,.0f} a day."
        )
    if found.evaluated < found.floor:
        return f"{name} is broken at once: the version was evaluated at {found.evaluated:.3f}."
    tells = (
        f"a loss of a fifth of the accuracy is told after {_days(found.days_to_tell)} of it"
        if found.days_to_tell
        else "not even a loss of a fifth of the accuracy is told"
    )
    chance = found.by_chance or 0.0
    reach = "is within reach of chance" if chance > WITHIN_REACH else "is out of reach of chance"
    return (
        f"{name} {reach}: a version as evaluated ({found.evaluated:.3f}) is under it in {chance:.1%} of windows. "
        f"It has labels enough after {_days(found.days_to_rows)}, and {tells}."
    )


def _days_to_tell(outlook: Outlook, policy: PerformancePolicy, rows_per_day: float) -> int | None:
    window = policy.window_days * rows_per_day
    for day in range(1, policy.window_days + 1):
        most = outlook.most_after_loss(LEFT, day / policy.window_days, window)
        if most is not None and most < policy.floor:
            return day
    return None


def _days(number: int) -> str:
    return "1 day" if number == 1 else f"{number} days"
