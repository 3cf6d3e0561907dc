"""`decide` itself on one of many rollouts: what it is given, and that it says the same."""

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import numpy as np

from bench import e_values
from bench.cohorts import DAY, Look
from bench.drawing import World
from bench.e_values import Bools
from bench.histories import MIDNIGHT
from mlops_dagster.predictions import BothScored, Cohort, EventCounts, PairedCounts
from mlops_dagster.predictions.rollups.compared import COHORT_MINUTES
from mlops_dagster.rollout import (
    EventsSince,
    Evidence,
    Labels,
    LabelsSince,
    Phase,
    Rollout,
    StepCounts,
    decide,
)
from mlops_dagster.rollout.claims.cohorts import complete_until

if TYPE_CHECKING:
    from bench.states import Judged, States

NEVER = 10**6
"""Cohorts."""


def rollout_of(look: Look, states: "States", run: int) -> Rollout | None:
    """As it is before the look; None once it has ended."""
    if not states.running[run]:
        return None
    step, world = int(states.step[run]), look.world
    watch = bool(states.in_watch[run])
    return Rollout(
        id=1,
        model="m",
        champion="1.0.0",
        challenger="1.0.1",
        policy=look.policy,
        phase=Phase.WATCH if watch else Phase.CANARY if step else Phase.SHADOW,
        step=step,
        weight=float(states.weight[run]),
        started_at=MIDNIGHT,
        canary_at=_time(states.canary_at[run], world) if step else None,
        step_at=_time(states.step_at[run], world),
        paused=False,
        peaks={name: float(peak[run]) for name, peak in states.peaks.items()},
        epoch=1,
        promoted_at=_time(states.promoted_at[run], world) if watch else None,
        shared=look.of.shared[run] if look.of.shared else None,
        strata=world.shares,
    )


def check(look: Look, rollout: Rollout, run: int, judged: "Judged") -> None:
    now = _time(look.count, look.world)
    assert _complete_until(look, run, now) == look.complete[run], f"{look.complete[run]} cohorts complete at {now}"
    decision = decide(rollout.policy, rollout, _evidence(look, rollout, run), now)
    found, e = decision.test("rollback.worse").e_value, float(judged.rollback_e[run])
    assert np.isclose(found, e, rtol=1e-9), f"E {e} at {now}, by decide {found}: {decision.reason}"
    assert decision.outcome is judged.outcomes[run], f"{judged.outcomes[run]} at {now}, by decide: {decision.reason}"


def _complete_until(look: Look, run: int, now: datetime) -> int:
    """How many cohorts are complete, as the controller finds it."""
    if look.policy.labels == "complaints":
        return look.count
    arms = [
        {
            _time(number, look.world): Cohort(int(its_units), int(its_labels))
            for number, (its_units, its_labels) in enumerate(zip(units[run], labels[run], strict=True))
            if its_units
        }
        for units, labels in look.of_arms
    ]
    until = complete_until(arms, look.policy.min_label_share, now - look.policy.label_delay)
    if until is None:
        return 0
    last = until - timedelta(minutes=COHORT_MINUTES) - MIDNIGHT
    return last // timedelta(minutes=look.world.minutes) + 1


def _evidence(look: Look, rollout: Rollout, run: int) -> Evidence:
    world, known, size = look.world, look.known, look.world.minutes
    complete, age, pairs = int(look.complete[run]), int(look.age[run]), look.policy.uses_pairs

    def starts(end: int) -> list[int]:
        return [0, *(end - back for back in e_values.BACK if end > back)]

    def first(minute: int) -> int:
        return -(-minute // size)

    def outcomes(since: int, until: int = NEVER) -> dict[str, PairedCounts]:
        counts = (known.pairs * look.here[0] * look.counts[:, None])[:, run, :, since:until].sum(axis=2)
        named = {name: PairedCounts(*map(int, counts[:, number])) for number, name in enumerate(world.classes)}
        return {name: its for name, its in named.items() if its.total}

    def steps(since: int, *, labels: bool) -> tuple[StepCounts, ...]:
        weights = known.weight[run, since:]
        return tuple(
            StepCounts(float(weight), *(arm(number, since, weights == weight, labels) for number in (0, 1)))
            for weight in np.unique(weights)
            if 0 < weight < 1
        )

    def arm(number: int, since: int, its: Bools, labels: bool) -> EventCounts:
        of = (known.canary, known.champion)[number]
        requests = int(of[0, run].sum(axis=0)[since:][its].sum())
        if not labels or pairs:
            return EventCounts(requests=requests)
        told, wrong = ((of[1:, run] * look.here[number][run] * look.counts[run]).sum(axis=1)[:, since:][:, its]).sum(
            axis=1
        )
        return EventCounts(requests=requests, units=requests, unit_labels=int(told), bad_wrong=int(wrong))

    def both(since: int) -> BothScored:
        scored = known.units if pairs else np.where((known.weight == 0) | (known.weight == 1), known.units, 0)
        return BothScored(requests=int(scored[run, since:].sum()))

    units, in_watch = known.units[run], known.weight[run] == 1
    off_path = np.where((known.weight[run] == 0) | pairs, units - known.canary[0, run].sum(axis=0), 0) * ~in_watch
    day = np.arange(look.count) * size // DAY
    labels = Labels(int(look.units[run].sum()), int(look.labelled[run].sum()))
    if complete:
        labels = Labels(
            units=labels.units,
            labelled=labels.labelled,
            complete_until=MIDNIGHT + timedelta(minutes=age + 1),
            since=tuple(
                LabelsSince(start, outcomes(first(start)) if pairs else {}, steps(first(start), labels=True))
                for start in starts(age)
            ),
            step=int(
                look.pairs_since(np.full(look.of.runs, (rollout.step_at - MIDNIGHT) // timedelta(minutes=size)))[run]
            ),
            watch=outcomes(int((rollout.promoted_at - MIDNIGHT) / timedelta(minutes=size)))
            if rollout.promoted_at
            else None,
            days=tuple(
                sum(outcomes(int(its[0]), int(its[-1]) + 1).values(), PairedCounts())
                for its in (np.flatnonzero(day == number) for number in range(int(day[-1]) + 1))
            ),
        )
    return Evidence(
        through=_time(look.count, world),
        since=tuple(
            EventsSince(start, steps(first(start), labels=False), both(first(start))) for start in starts(look.minutes)
        ),
        shadow=EventCounts(requests=int(off_path.sum())),
        recent=EventCounts(requests=1),  # its traffic never stops
        watch=EventCounts(requests=int(units[in_watch].sum())),
        labels=labels,
    )


def _time(cohorts: int, world: World) -> datetime:
    return MIDNIGHT + timedelta(minutes=int(cohorts) * world.minutes)
