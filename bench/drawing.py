"""Predictions by cohorts, of many rollouts at once: what is drawn of them, and what will be known."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final, NamedTuple

import numpy as np

from bench.e_values import Floats, Ints
from mlops_dagster.rollout import RolloutPolicy
from mlops_dagster.statistics import DesignEffect

WIN, LOSS, BOTH_WRONG, BOTH_RIGHT = range(4)
ARMS_AT_ONCE: Final = (0.0, 0.0)


class Drawn(NamedTuple):
    """Predictions of one cohort, of all rollouts; the first axis are these, the second the classes."""

    cells: Ints
    """The third axis: the challenger wins, loses, both are wrong, both are right."""
    delay: Floats
    """In hours after the cohort, until the labels of a class come."""


Draw = Callable[[np.random.Generator, int, int], Drawn]
"""From how many rollouts, and the cohort's number."""


@dataclass(frozen=True)
class World:
    """What happens in it, and by what policy it is judged."""

    draw: Draw
    policy: RolloutPolicy
    classes: tuple[str, ...] = ("",)
    shares: Mapping[str, float] = field(default_factory=dict)
    """Of the classes, as the challenger's training saw them."""
    minutes: int = 60
    """Of a cohort, and between looks."""
    arm_delays: tuple[float, float] = ARMS_AT_ONCE
    """Hours by which the labels of the canary's and of the champion's answers come later."""
    complaints: float | None = None
    """Labels come of this share of the wrong answers that were served, and of no other; None if they come of all."""
    shared: Callable[[np.random.Generator], DesignEffect] | None = None
    """As the evaluation of a rollout's challenger would have found it."""


class Known(NamedTuple):
    """All cohorts so far; the axes are rollouts, classes, cohorts."""

    pairs: Ints
    """The first axis: wins, losses and ties whose label comes."""
    canary: Ints
    """The first axis: answers in the ramp, those whose label comes, wrong ones of these."""
    champion: Ints
    weight: Floats
    """Of rollouts and cohorts."""
    units: Ints
    """That both scored, of rollouts and cohorts."""
    comes: Floats
    """In cohorts from the start, when all labels of a class have come."""
    cells: Ints
    """The first axis: the cells."""


def known_of(world: World, drawn: Drawn, weight: Floats, rng: np.random.Generator, cohort: int) -> Known:
    """One cohort: who of the two answered, and whose label will be known."""
    cells, share = drawn.cells, weight[:, None, None]
    canary = np.where(share == 1, cells, rng.binomial(cells, np.where(share == 1, 0, share)))
    champion = cells - canary
    told, other_told = canary, champion
    if world.complaints is not None:
        told, other_told = (
            rng.binomial(its * np.isin(np.arange(4), wrong), world.complaints)
            for its, wrong in ((canary, (LOSS, BOTH_WRONG)), (champion, (WIN, BOTH_WRONG)))
        )
    both = told + other_told
    in_ramp = (share > 0) & (share < 1)

    def arm(its: Ints, its_told: Ints, own: int) -> Ints:
        counts = (its.sum(axis=2), its_told.sum(axis=2), its_told[..., own] + its_told[..., BOTH_WRONG])
        return np.stack(counts) * in_ramp[..., 0]

    return Known(
        pairs=np.stack([both[..., WIN], both[..., LOSS], both[..., BOTH_WRONG] + both[..., BOTH_RIGHT]]),
        canary=arm(canary, told, LOSS),
        champion=arm(champion, other_told, WIN),
        weight=weight,
        units=cells.sum(axis=(1, 2)),
        comes=cohort + 1 + drawn.delay * 60 / world.minutes,
        cells=np.moveaxis(cells, 2, 0),
    )
