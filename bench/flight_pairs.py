"""Pairs of versions on real flights: wins, losses and ties by day, and worlds made of them whose truth is known."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from flights import trainer as flights

LOOKS: Final = 8
"""Looks a day, after as many flights each."""
DAYS: Final = 122
Counts = npt.NDArray[np.int64]
"""(..., days, looks, 3): wins, losses and ties of the challenger."""


class World(NamedTuple):
    """Replays of days whose true difference is known."""

    counts: Counts
    hard: npt.NDArray[np.float64]
    """(replays, days) how often the champion is wrong on that day, 1 in the mean."""


FITTED = datetime(2013, 1, 1, tzinfo=UTC), datetime(2013, 3, 1, tzinfo=UTC)
JUDGED = datetime(2013, 3, 1, tzinfo=UTC), datetime(2013, 7, 1, tzinfo=UTC)


class Pair(NamedTuple):
    """A challenger beside the champion, March to June."""

    counts: Counts
    hard: npt.NDArray[np.float64]


def pairs() -> Mapping[str, Pair]:
    """Each challenger beside the champion, which is fitted on January and February."""
    names = list(flights.SCHEMA.names)
    fitted, judged = flights.training_set(*FITTED), flights.training_set(*JUDGED)
    label, rows = judged["label"].to_numpy(), judged[names]
    cell = _cells(judged["event_time"].dt.floor("D").to_numpy())

    def model(data: "Any" = fitted, **trees: int) -> "Any":  # of scikit-learn
        return flights.estimator().set_params(**trees).fit(data[names], data["label"])

    def beside(estimator: "Any", asked: "Any" = rows) -> Pair:
        difference = (estimator.predict(asked) != label).astype(np.int64) - wrong
        parts = [np.bincount(cell[difference == each], minlength=DAYS * LOOKS) for each in (-1, 1, 0)]
        return Pair(np.stack(parts, axis=-1).reshape(DAYS, LOOKS, 3), hard)

    tree = "histgradientboostingclassifier__"
    champion = model()
    wrong = (champion.predict(rows) != label).astype(np.int64)
    day = cell // LOOKS
    hard = np.bincount(day, wrong) / np.bincount(day) / wrong.mean()
    return {
        "too few trees": beside(model(**{f"{tree}max_iter": 5})),
        "3 minutes late": beside(champion, rows.assign(dep_delay=rows["dep_delay"] + 3)),
        "more trees": beside(model(**{f"{tree}max_iter": 80, f"{tree}max_leaf_nodes": 31})),
        "January only": beside(model(fitted[fitted["event_time"] < "2013-02-01"])),
        "a twin": beside(model(**{f"{tree}max_leaf_nodes": 14})),
    }


def _cells(days: npt.NDArray[np.datetime64]) -> npt.NDArray[np.intp]:
    """The day and look of each row, which are in order of time."""
    day = np.unique(days, return_inverse=True)[1]
    rows = np.bincount(day)
    within = np.arange(len(day)) - (np.cumsum(rows) - rows)[day]
    cells: npt.NDArray[np.intp] = day * LOOKS + within * LOOKS // rows[day]
    return cells


def random_days(rng: np.random.Generator, pair: Pair, replays: int) -> World:
    """Replays of all days in random order, where the true difference is 0.

    Which of the two versions is called the challenger is decided by a coin for each whole day: a day's wins and losses
    stay together, so that its rows share as much as they did, and each day has a mean difference of 0.
    """
    order = rng.permuted(np.tile(np.arange(DAYS), (replays, 1)), axis=1)
    coin = rng.random((replays, DAYS, 1, 1)) < 0.5
    days = pair.counts[order]
    return World(np.where(coin, days[..., [1, 0, 2]], days), pair.hard[order])


def days_as_they_were(rng: np.random.Generator, pair: Pair, replays: int) -> World:
    """Replays that begin at any day and go round: the mean difference of the four months is 0, and weather lasts.

    Of the rows where the better version wins as many are given to the other, at random, as makes both equal. In weeks
    one of them is better all the same, so no test is promised to stay silent here.
    """
    wins, losses, _ = pair.counts.sum(axis=(0, 1))
    better = int(losses > wins)  # where it counts: 0 if the challenger is, else 1
    surplus = abs(losses - wins) / 2 / max(losses, wins)
    given = rng.binomial(pair.counts[..., better], surplus, (replays, DAYS, LOOKS))
    days = np.broadcast_to(pair.counts, (replays, *pair.counts.shape)).copy()
    days[..., better] -= given
    days[..., 1 - better] += given
    order = (rng.integers(DAYS, size=(replays, 1)) + np.arange(DAYS)) % DAYS
    return World(np.take_along_axis(days, order[..., None, None], axis=1), pair.hard[order])


def worse_by(rng: np.random.Generator, world: World, points: float) -> World:
    """The challenger loses as many points more: ties that it loses, most of them on days when the champion errs most.

    Negative points are ties that it wins.
    """
    rows, ties = world.counts.sum(axis=-1), world.counts[..., 2]
    moved = rng.binomial(ties, np.minimum(abs(points) * world.hard[..., None] * rows / np.maximum(ties, 1), 1))
    changed = world.counts.copy()
    changed[..., 2] -= moved
    changed[..., int(points > 0)] += moved
    return World(changed, world.hard)
