"""Champion and challenger side by side, with the difference and its interval."""

from collections import Counter
from datetime import datetime, timedelta
from math import sqrt
from typing import Final, Literal

from mlops_dagster.board.snapshot.entities import Compared
from mlops_dagster.predictions import EventCounts, PairedCounts, Rollups, ServedBy, latency_by_hour, summarize
from mlops_dagster.rollout import Decision, Phase
from mlops_dagster.statistics import difference_interval

_LATELY: Final = timedelta(days=1)
"""The latency is that of the hours of the step, but not of more than a day."""


def compared(rollups: Rollups, decision: Decision, until: datetime) -> tuple[Compared, ...]:
    """Return accuracy, latency, errors and slow answers of both versions, as far as the evidence has them."""
    evidence = decision.evidence
    if evidence.canary.requests:
        challenger, champion = evidence.canary, evidence.champion
    else:
        challenger, champion = evidence.since[0].challenger, evidence.since[0].incumbent
    return (
        _accuracy(decision, challenger, champion),
        _latency(rollups, decision, until),
        _rate("errors", challenger.errors, challenger.requests, champion.errors, champion.requests),
        _rate("slow answers", challenger.slow, challenger.requests, champion.slow, champion.requests),
    )


def _accuracy(decision: Decision, challenger: EventCounts, champion: EventCounts) -> Compared:
    """Return the accuracy of both, of all that they scored; the difference is that of the pairs, which have both."""
    rollout, pairs = decision.rollout, decision.evidence.labels.paired
    if not rollout.policy.uses_pairs or not pairs.total:
        right = [each.labelled - each.wrong for each in (challenger, champion)]
        return _rate("accuracy", right[0], challenger.labelled, right[1], champion.labelled, better="more")
    tests = [test for test in decision.tests if test.metric == "paired"]
    worth = next((test.observed.get("rows_per_observation", 1.0) for test in tests), 1.0) or 1.0
    difference, half = _of_pairs(pairs, worth)
    challenger, champion = decision.evidence.since[0].challenger, decision.evidence.since[0].incumbent
    return Compared(
        metric="accuracy",
        unit="share",
        challenger=_share(challenger.labelled - challenger.wrong, challenger.labelled),
        champion=_share(champion.labelled - champion.wrong, champion.labelled),
        difference=difference,
        low=difference - half,
        high=difference + half,
        challenger_n=pairs.total,
        champion_n=pairs.total,
        better="more",
    )


def _of_pairs(pairs: PairedCounts, rows_per_observation: float) -> tuple[float, float]:
    """Return the difference of the accuracies on the same rows, and half of its 95 % interval.

    >>> difference, half = _of_pairs(PairedCounts(wins=30, losses=10, ties=960), 1.0)
    >>> round(difference, 3), round(half, 4)
    (0.02, 0.0123)
    """
    n = pairs.total
    difference = (pairs.wins - pairs.losses) / n
    variance = (pairs.wins + pairs.losses) / n - difference**2
    return difference, 1.959964 * sqrt(variance * rows_per_observation / n)


def _latency(rollups: Rollups, decision: Decision, until: datetime) -> Compared:
    rollout = decision.rollout
    # In shadow only the champion answers, and in the bake only the challenger: the other one's time is no answer's.
    names = (rollout.final if rollout.phase is Phase.WATCH else rollout.challenger, rollout.champion)
    since = max(rollout.step_at, until - _LATELY)
    found = latency_by_hour(rollups, [rollout.model], since, until)
    one, other = (
        summarize(sum(found.get(ServedBy(rollout.model, name), {}).values(), Counter[int]())) for name in names
    )
    known = one is not None and other is not None
    return Compared(
        metric="P99",
        unit="ms",
        challenger=None if one is None else one.p99,
        champion=None if other is None else other.p99,
        difference=one.p99 - other.p99 if known and one and other else None,
        low=None,
        high=None,
        challenger_n=0 if one is None else one.requests,
        champion_n=0 if other is None else other.requests,
        better="less",
    )


def _rate(
    metric: Literal["accuracy", "errors", "slow answers"],
    one: int,
    n: int,
    other: int,
    other_n: int,
    *,
    better: Literal["more", "less"] = "less",
) -> Compared:
    first, second = _share(one, n), _share(other, other_n)
    known = first is not None and second is not None
    low, high = difference_interval(one, n, other, other_n) if known else (None, None)
    return Compared(
        metric=metric,
        unit="share",
        challenger=first,
        champion=second,
        difference=None if first is None or second is None else first - second,
        low=low,
        high=high,
        challenger_n=n,
        champion_n=other_n,
        better=better,
    )


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None
