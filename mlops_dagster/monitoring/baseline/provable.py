"""Forecast, made at evaluation and before any promotion, of the losses that the daily checks can prove of a version.

A test that can prove nothing looks like a test that finds nothing. So the card states, from the evaluation and the
policy, after how many days of some losses the e-value reaches the level it needs, or that it never can; it states the
same for the floor of the headline measure and for the collapse rule.
"""

from collections.abc import Mapping, Sequence

from mlops_dagster.monitoring.baseline.card_accuracy import LEFT, CardAccuracy, unlike_any
from mlops_dagster.monitoring.baseline.floor_forecast import floor_forecast, floor_line
from mlops_dagster.monitoring.concept.measure import alpha_of, limit_of
from mlops_dagster.monitoring.policy import ConceptPolicy, PerformancePolicy
from mlops_dagster.registry.cards import OVERALL, EvaluationSlice, Provable, ProvableDrift, ProvableLoss
from mlops_dagster.statistics import HORIZON, DesignEffect, days_to_proof
from mlops_dagster.tasks import UNKNOWN_TASK, Task

TIMES = {"1.5 times the errors": 1.5, "twice the errors": 2.0, "three times the errors": 3.0}
A_FIFTH = "a fifth of the accuracy lost"
_NAMED = 5


def provable(
    evaluation: Sequence[EvaluationSlice],
    effects: Mapping[str, DesignEffect],
    evaluated_days: Sequence[tuple[int, int]],
    concept: ConceptPolicy,
    performance: PerformancePolicy,
    task: Task = UNKNOWN_TASK,
) -> Provable:
    """Return the losses provable of a version; `effects` and `evaluated_days` are those of its baseline."""
    overall = next((part for part in evaluation if part.name == OVERALL and part.rows), None)
    shared = concept.design_effect(OVERALL, effects)
    rows = _rows_per_day(evaluated_days, shared)
    drift = _drift(evaluation, overall, effects, evaluated_days, concept, rows)
    floor = floor_forecast(overall, performance, rows, shared, task)
    card = CardAccuracy.of(overall) if overall is not None and "accuracy" in overall.metrics else None
    lines = [_drift_line(drift, card), *_slices_line(drift, evaluation), _collapse_line(card, evaluated_days, rows)]
    return Provable(
        lines=(*lines, floor_line(floor, performance, rows, task)),
        drift=drift,
        floor=floor,
        collapse_rows=None if card is None else card.needed,
    )


def _rows_per_day(days: Sequence[tuple[int, int]], shared: DesignEffect | None) -> float | None:
    if days:
        return sum(rows for _, rows in days) / len(days)
    return None if shared is None else shared.rows_per_day


def _drift(
    evaluation: Sequence[EvaluationSlice],
    overall: EvaluationSlice | None,
    effects: Mapping[str, DesignEffect],
    days: Sequence[tuple[int, int]],
    policy: ConceptPolicy,
    rows: float | None,
) -> ProvableDrift:
    slices = [part for part in evaluation if part.name != OVERALL]
    mute = tuple(part.name for part in slices if part.rows and _is_mute(part, effects, policy, len(slices)))
    shared = policy.design_effect(OVERALL, effects)
    known = len(days) or None
    if overall is None or shared is None or "accuracy" not in overall.metrics:
        return ProvableDrift(evaluated_days=known, rows_per_day=rows, limit=None, mute_slices=mute)
    alpha = alpha_of(OVERALL, policy, len(slices))
    limit = limit_of(overall, alpha, policy.margin, shared)
    then = 1 - overall.metrics["accuracy"]
    rates = {name: then * times for name, times in TIMES.items() if 0 < then * times <= 1}
    losses = tuple(
        ProvableLoss(name=name, wrong=wrong, days=_days_to_proof(wrong, limit, 2 / alpha, rows, shared))
        for name, wrong in {**rates, A_FIFTH: 1 - LEFT * (1 - then)}.items()
    )
    return ProvableDrift(evaluated_days=known, rows_per_day=rows, limit=limit, losses=losses, mute_slices=mute)


def _days_to_proof(wrong: float, limit: float, needed: float, rows: float | None, shared: DesignEffect) -> int | None:
    if rows is None or not 0 < limit < 1:
        return None
    return days_to_proof(wrong, limit=limit, needed=needed, trials=max(round(rows), 1), shared=shared)


def _is_mute(part: EvaluationSlice, effects: Mapping[str, DesignEffect], policy: ConceptPolicy, slices: int) -> bool:
    shared = policy.design_effect(part.name, effects)
    if shared is None or "accuracy" not in part.metrics:
        return True
    limit = limit_of(part, alpha_of(part.name, policy, slices), policy.margin, shared)
    return limit >= min(2 * (1 - part.metrics["accuracy"]), 1.0)


def _drift_line(found: ProvableDrift, card: CardAccuracy | None) -> str:
    days = "an unknown number of days" if found.evaluated_days is None else _days(found.evaluated_days)
    if card is None:
        return "Concept drift: nothing, for the card does not say how accurate the version was."
    if found.limit is None:
        if found.evaluated_days == 1:
            return (
                "Concept drift: no forecast, as the evaluation is of one day, which shows no difference between days."
            )
        return f"Concept drift: nothing, with {days} of evaluation: how days differ is not known."
    if found.limit >= 1:
        return f"Concept drift: nothing, with {days} of evaluation: no rate of wrong answers is over the limit of 1."
    if found.rows_per_day is None:
        return f"Concept drift: over {found.limit:.3f} wrong, after an unknown time: {days} of evaluation."
    with_days = (
        f"with {days} of evaluation, {found.rows_per_day:,.0f} answers a day, {1 - card.accuracy:.3f} of them wrong"
    )
    if not any(loss.days for loss in found.losses):
        most = max(found.losses, key=lambda loss: loss.wrong)
        why = f"not even {most.name} ({most.wrong:.3f} wrong) is proven to be over the limit of {found.limit:.3f}"
        return f"Concept drift: nothing, {with_days}: {why}."
    said = [f"{loss.name} ({loss.wrong:.3f} wrong) {_after(loss, found.limit)}" for loss in found.losses]
    return f"Concept drift, {with_days}, and a limit of {found.limit:.3f}: {'; '.join(said)}."


def _after(loss: ProvableLoss, limit: float) -> str:
    if loss.wrong <= limit:
        return "never, being under the limit"
    return f"not within {HORIZON} days" if loss.days is None else f"after {_days(loss.days)} of it"


def _slices_line(found: ProvableDrift, evaluation: Sequence[EvaluationSlice]) -> list[str]:
    if not found.mute_slices:
        return []
    slices = sum(part.name != OVERALL and part.rows > 0 for part in evaluation)
    more = len(found.mute_slices) - _NAMED
    named = ", ".join(found.mute_slices[:_NAMED]) + (f" and {more} more" if more > 0 else "")
    return [f"Concept drift in slices: of {len(found.mute_slices)} of {slices} not even twice the errors: {named}."]


def _collapse_line(card: CardAccuracy | None, days: Sequence[tuple[int, int]], rows: float | None) -> str:
    loss = "A loss of a fifth of the accuracy"
    if card is None:
        return f"{loss}: nothing, for the card does not say how accurate the version was."
    lost = LEFT * card.accuracy
    loss += f" ({card.accuracy:.3f} to {lost:.3f})"
    if card.needed is None:
        return f"{loss} cannot be told: too few rows were evaluated. A greater loss can."
    unlike = 1 - unlike_any(card, [(wrong, many) for wrong, many in days])
    if unlike <= lost:
        return f"{loss} is like a day of the evaluation: within two days only accuracies under {unlike:.3f} are told."
    if rows is not None and rows < card.needed:
        return f"{loss} needs {card.needed} labels a day to be told within its second; the evaluation had {rows:,.0f}."
    had = "" if rows is None else f"; the evaluation had {rows:,.0f}"
    return f"{loss} is told within its second day, with {card.needed} labels a day or more{had}."


def _days(number: int) -> str:
    return "1 day" if number == 1 else f"{number} days"
