"""The tests that are not to be used, on labels as they come: of the very predictions that our rollouts were judged by.

z of two arms looks every hour of a ramp of twelve hours a step; without an alarm the challenger is promoted at its end.
McNemar's test of the pairs rolls back what is significantly worse, and promotes what is significantly not worse by the
margin; once, when the labels are there that were fixed in advance, or every hour.
"""

from typing import NamedTuple

import numpy as np

from bench.drawing import BOTH_WRONG, LOSS, WIN, Known, World
from bench.e_values import Bools, Floats, Ints
from bench.histories import HOURS, RAMP
from bench.naive import LEAST_REQUESTS, SAMPLE, Z_LIMIT, mcnemar, two_proportions


class Verdicts(NamedTuple):
    """Of all rollouts."""

    rolled_back: Bools
    promoted: Bools


class Peers(NamedTuple):
    """Of the other tests."""

    z: Verdicts
    once: Verdicts
    hourly: Verdicts


def peers(world: World, known: Known, rng: np.random.Generator) -> Peers:
    """Judge rollouts to their end, in cohorts of an hour."""
    pairs = np.stack([_arrived(each, known.comes) for each in known.pairs])
    wins, losses, ties = pairs.cumsum(axis=-1)
    n = wins + losses + ties
    difference = (losses - wins) / np.maximum(n, 1)
    spread = np.sqrt(np.maximum((wins + losses) / np.maximum(n, 1) - difference**2, 1e-12) / np.maximum(n, 1))
    worse = mcnemar(wins, losses) > Z_LIMIT
    not_worse = (difference - world.policy.margin) / spread < -Z_LIMIT
    first = np.cumsum(n >= SAMPLE, axis=-1) == 1
    return Peers(
        _z(world, known, rng),
        _verdicts(worse & first, not_worse & first),
        _verdicts(worse & (n >= LEAST_REQUESTS), not_worse & (n >= LEAST_REQUESTS)),
    )


def _z(world: World, known: Known, rng: np.random.Generator) -> Verdicts:
    hours = np.cumsum(HOURS)[:-1]
    alarm = np.zeros(len(known.units), dtype=np.bool_)
    for share, begin, end in zip(RAMP, hours[:-1], hours[1:], strict=True):
        cells, comes = known.cells[..., begin:end], known.comes[..., begin:end] - begin
        canary = rng.binomial(cells, share)
        arms = []
        for its, own, delay in zip((canary, cells - canary), (LOSS, WIN), world.arm_delays, strict=True):
            wrong, told = its[own] + its[BOTH_WRONG], its.sum(axis=0)
            if world.complaints is not None:
                wrong = rng.binomial(wrong, world.complaints)
            arms += [_arrived(each, comes + delay).cumsum(axis=-1) for each in (wrong, told)]
        alarm |= (two_proportions(*arms) > Z_LIMIT).any(axis=-1)
    return Verdicts(alarm, ~alarm)


def _arrived(counts: Ints, comes: Floats) -> Ints:
    """By the hour in which their labels come, of all classes; some come too late."""
    runs, _, hours = counts.shape
    at = np.maximum(np.ceil(comes).astype(np.int64) - 1, np.arange(hours))
    at = np.minimum(at, hours)
    index = np.arange(runs)[:, None, None] * (hours + 1) + at
    found = np.bincount(index.ravel(), weights=counts.ravel(), minlength=runs * (hours + 1))
    return np.asarray(found.reshape(runs, hours + 1)[:, :hours].astype(np.int64))


def _verdicts(rolls_back: Bools, promotes: Bools) -> Verdicts:
    """What comes first; of both at once the first."""
    never = rolls_back.shape[-1]
    back, on = (np.where(each.any(axis=-1), each.argmax(axis=-1), never) for each in (rolls_back, promotes))
    return Verdicts((back <= on) & (back < never), on < back)
