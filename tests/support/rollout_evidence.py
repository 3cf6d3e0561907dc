"""Evidence of a rollout made by hand: what tests of decisions say is what they mean, and no more."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from mlops_dagster.predictions import BothScored, EventCounts, PairedCounts
from mlops_dagster.rollout import (
    EventsSince,
    Evidence,
    Labels,
    LabelsSince,
    Phase,
    Rollout,
    RolloutPolicy,
    StepCounts,
)

START = datetime(2026, 3, 1, tzinfo=UTC)
INDEPENDENT = RolloutPolicy(rows_per_observation=1)
LAST = len(INDEPENDENT.steps)
CLASS = "late"


def hour(hours: float) -> datetime:
    """That many hours after the rollouts of these tests begin."""
    return START + timedelta(hours=hours)


def a_rollout(
    step: int = 0,
    hours_in_step: float = 100,
    now: float = 100,
    policy: RolloutPolicy = INDEPENDENT,
    **changes: object,
) -> Rollout:
    """Return a rollout at hour `now`, whose step (0: shadow) began `hours_in_step` before."""
    running = Rollout(
        id=1,
        model="m",
        champion="1.0.0",
        challenger="1.0.1",
        policy=policy,
        phase=Phase.CANARY if step else Phase.SHADOW,
        step=step,
        weight=policy.steps[step - 1] if step else 0.0,
        started_at=START,
        canary_at=hour(1) if step else None,
        step_at=hour(max(now - hours_in_step, 0)),
        paused=False,
        peaks={},
        epoch=1,
    )
    return replace(running, **changes)  # type: ignore[arg-type]  # a table row names any of the fields


def arm(requests: int = 1000, errors: int = 0, slow: int = 0, labelled: int = 0, wrong: int = 0) -> EventCounts:
    """Return what one arm did with requests of one row each, all of them independent."""
    return EventCounts(
        requests=requests,
        errors=errors,
        slow=slow,
        bad_errors=errors,
        bad_slow=slow,
        rows=requests,
        failed_rows=errors,
        labelled=labelled,
        wrong=wrong,
        units=requests - errors,
        unit_labels=labelled,
        bad_wrong=wrong,
    )


def pairs_of(pairs: tuple[int, int, int]) -> Mapping[str, PairedCounts]:
    """Return wins, losses and ties of one class."""
    return {CLASS: PairedCounts(*pairs)} if any(pairs) else {}


def labels_of(
    pairs: Mapping[str, PairedCounts],
    steps: Sequence[StepCounts] = (),
    *,
    step: int = 500,
    watch: Mapping[str, PairedCounts] | None = None,
) -> Labels:
    """Return labels of which all have come."""
    units = sum(counts.total for counts in pairs.values())
    return Labels(
        units=units,
        labelled=units,
        complete_until=START,
        since=(LabelsSince(0, pairs, tuple(steps)),),
        rows=units,
        step=step,
        watch=watch,
    )


def evidence(
    pairs: tuple[int, int, int] = (20, 20, 960),
    canary: EventCounts | None = None,
    champion: EventCounts | None = None,
    shadow: EventCounts | None = None,
    both: BothScored | None = None,
    step_pairs: int = 500,
    weight: float = INDEPENDENT.steps[-1],
) -> Evidence:
    """Return by default a step with plenty of everything and two versions that are equally good."""
    steps = (StepCounts(weight, arm() if canary is None else canary, arm() if champion is None else champion),)
    scored = BothScored(requests=2000) if both is None else both
    return Evidence(
        through=START,
        since=(EventsSince(0, steps, scored),),
        shadow=arm() if shadow is None else shadow,
        recent=arm(1),
        labels=labels_of(pairs_of(pairs), steps, step=step_pairs),
    )


def late_starts(now: int) -> list[int]:
    """Return the minutes that are 0, 1, 2, 4, 8... before minute `now` of a rollout, from 1 on."""
    return sorted(now - back for back in (0, *(2**n for n in range(now.bit_length()))) if now > back)
