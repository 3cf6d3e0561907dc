"""Rollouts simulated request by request, in worlds that make life hard for a test.

A history is all that a rollout's requests did: an hour of shadow, four steps of twelve hours, a day's watch after the
promotion, some 200,000 requests. It goes on to its end whatever is seen in it, and labels come at once: worlds in which
they do not are in `label_worlds.py`. `looks.py` counts a history as the rollups do, `naive.py` as other tests do.
"""

from datetime import UTC, datetime
from functools import cached_property
from typing import Final, NamedTuple

import numpy as np
from scipy.special import ndtri

from bench.e_values import Bools, Floats, Ints
from mlops_dagster.predictions import BadEvent

MIDNIGHT: Final = datetime(2013, 3, 1, tzinfo=UTC)
RAMP: Final = (0.01, 0.05, 0.2, 0.5)
STEP_HOURS: Final = 12
HOURS: Final = (1, *[STEP_HOURS] * len(RAMP), 24)
"""Of the shadow, of each step, of the watch."""
REQUESTS_PER_MINUTE: Final = 46
KEYS: Final = 20_000
COLD_ANSWERS: Final = 40
ERROR_RATE: Final = 0.004
WRONG_RATE: Final = 0.07
DISAGREEMENT: Final = 0.06
SLOW_MS: Final = 200.0
MEDIAN_MS: Final = 45.0
SPREAD: Final = 0.6
"""Of the logarithm of the latency: some 0.7 % of the answers are slow."""
OUTAGE_MINUTES: Final = 3
UNKNOWN_HOURS: Final = 6
REPEATED: Final = 600
REPEATED_MINUTES: Final = 30


class World(NamedTuple):
    """What makes life hard for a test."""

    daily: bool = False
    """Traffic, errors and wrong answers swing by a factor of nine over the day, slow answers by four."""
    sticky: bool = False
    """20,000 keys by Zipf's law stay in their arm; one of the busiest fails every time, whoever answers."""
    cold: bool = False
    """The first 40 answers of the canary are all slow."""
    rows: tuple[int, ...] = (1,)
    """A request has one of these numbers of rows, which share its fate."""
    errors: float = ERROR_RATE
    """The champion's."""
    outages: int = 0
    """So many times of three minutes in the ramp in which nine of ten requests fail, whoever answers."""
    unknown: bool = False
    """For six hours one client sends a category once a second that neither version knows."""
    busy: bool = False
    """One client without a key sends a row 600 times in 30 minutes that the challenger gets wrong."""


class Challenger(NamedTuple):
    """By default as good as the champion in every respect."""

    errors: float = 1.0
    slow: float = 1.0
    """How many times as often as the champion."""
    loses: float = 0.0
    """Accuracy."""


class Requests(NamedTuple):
    """One entry per request, in their order; what the other version did was done off the response path."""

    minute: Ints
    weight: Floats
    """The challenger's share: 0 in shadow, 1 in the watch."""
    canary: Bools
    """The challenger answered, in a step of the ramp."""
    key: Ints
    """Requests without one have one of their own."""
    unit: Ints
    rows: Ints
    champion_error: Bools
    challenger_error: Bools
    champion_wrong: Bools
    challenger_wrong: Bools
    latency: Floats
    """Of the answer, in milliseconds."""


class History:
    """The requests of a rollout, and which of them count."""

    def __init__(self, requests: Requests, *, keys: bool, units: bool) -> None:
        """Say whether requests share keys, and whether they share units: to look for the first of each takes long."""
        self.of, self._keys, self._units = requests, requests.key if keys else None, requests.unit if units else None
        self.minute, self.weight, self.canary = requests.minute, requests.weight, requests.canary
        self.ramp = (requests.weight > 0) & (requests.weight < 1)
        self.in_watch = requests.weight == 1

    @cached_property
    def bad(self) -> dict[BadEvent, Bools]:
        """What the version that answered in the ramp did."""
        of = self.of
        error = np.where(of.canary, of.challenger_error, of.champion_error)
        wrong = np.where(of.canary, of.challenger_wrong, of.champion_wrong) & ~error
        return {"error": error & self.ramp, "slow": (of.latency > SLOW_MS) & self.ramp, "wrong": wrong & self.ramp}

    @cached_property
    def firsts(self) -> dict[BadEvent, Bools]:
        """Of these the first of each key, which is what counts."""
        return {metric: _first(each, self._keys) for metric, each in self.bad.items()}

    @cached_property
    def first_answered(self) -> Bools:
        """Answered in the ramp, and the first of its unit."""
        return _first(self.ramp & ~self.bad["error"], self._units)

    @cached_property
    def first_failures(self) -> list[Bools]:
        """If both versions scored everything: the challenger alone failed, the champion alone, both; first of a key."""
        one, other = self.of.challenger_error, self.of.champion_error
        kinds = (one & ~other, other & ~one, one & other)
        return [_first(kind & ~self.in_watch, self._keys) | _first(kind & self.in_watch, self._keys) for kind in kinds]

    @cached_property
    def first_outcomes(self) -> list[Bools]:
        """If both scored everything: the challenger won, lost, neither; first of a unit."""
        both = ~self.of.champion_error & ~self.of.challenger_error
        speaks = _first(both & ~self.in_watch, self._units) | _first(both & self.in_watch, self._units)
        win, loss = (
            self.of.champion_wrong & ~self.of.challenger_wrong,
            self.of.challenger_wrong & ~self.of.champion_wrong,
        )
        return [speaks & win, speaks & loss, speaks & ~win & ~loss]


def _first(event: Bools, of: Ints | None) -> Bools:
    if of is None:
        return event
    rows = np.flatnonzero(event)
    first = np.zeros_like(event)
    first[rows[np.unique(of[rows], return_index=True)[1]]] = True
    return first


def simulate(world: World, challenger: Challenger, rng: np.random.Generator) -> History:
    starts_at = rng.uniform(0, 24)
    minutes = np.arange(sum(HOURS) * 60)
    of_day = 2 * np.pi * (starts_at + minutes / 60) / 24
    swing = 0.8 if world.daily else 0.0
    usual = rng.poisson(REQUESTS_PER_MINUTE * (1 + swing * np.sin(of_day)))
    unknown = _in_ramp(rng, UNKNOWN_HOURS * 60) if world.unknown else minutes[:0]
    busy = _in_ramp(rng, REPEATED_MINUTES) if world.busy else minutes[:0]
    kinds = [np.repeat(minutes, usual), np.repeat(unknown, 60), np.repeat(busy, REPEATED // REPEATED_MINUTES)]
    minute = np.concatenate(kinds)
    order = np.argsort(minute, kind="stable")
    minute, kind = minute[order], np.repeat(np.arange(3), [len(each) for each in kinds])[order]
    n = len(minute)
    weight = np.repeat((0.0, *RAMP, 1.0), np.array(HOURS) * 60)[minute]
    # Answers are slow when there is much traffic; errors have their own hour.
    load, trouble = (1 + swing / 5 * np.sin(of_day))[minute], (1 + swing * np.cos(of_day))[minute]

    if world.sticky:
        popularity = np.cumsum(1 / np.arange(1, KEYS + 1) ** 1.1)
        key = np.searchsorted(popularity, rng.random(n) * popularity[-1])
        dealt, slower = rng.random(KEYS)[key], rng.lognormal(0, 0.3, KEYS)[key]
        broken = key == rng.integers(4, 50)
    else:
        key, dealt, slower, broken = np.arange(n), rng.random(n), np.ones(n), kind == 1
    ramp = (weight > 0) & (weight < 1)
    canary = ramp & (dealt < weight)
    rows = rng.choice(np.array(world.rows), n) if len(world.rows) > 1 else np.full(n, world.rows[0])

    rate = np.minimum(world.errors * trouble, 1)
    for _ in range(world.outages):
        rate = np.where(np.isin(minute, _in_ramp(rng, OUTAGE_MINUTES)), 0.9, rate)
    champion_error = (rng.random(n) < rate) | broken
    challenger_error = (rng.random(n) < rate * challenger.errors) | broken
    lost, won = (DISAGREEMENT + challenger.loses) / 2, (DISAGREEMENT - challenger.loses) / 2
    both_wrong = (WRONG_RATE - DISAGREEMENT / 2) * trouble
    u = np.where(kind == 2, 0.0, rng.random(n))
    loss, win, both = u < lost, (u >= lost) & (u < lost + won), (u >= 1 - both_wrong) | broken
    tail = rng.random(n) / np.where(canary, challenger.slow, 1.0)  # so any tail is that much heavier
    latency = MEDIAN_MS * load * slower * np.exp(-SPREAD * ndtri(tail))
    if world.cold:
        latency[np.flatnonzero(canary)[:COLD_ANSWERS]] += 2 * SLOW_MS
    unit = np.where(kind == 2, n, key)
    return History(
        Requests(
            minute, weight, canary, key, unit, rows, champion_error, challenger_error, win | both, loss | both, latency
        ),
        keys=world.sticky,
        units=world.sticky or world.busy,
    )


def _in_ramp(rng: np.random.Generator, length: int) -> Ints:
    """So many minutes of the ramp, one after the other."""
    first, last = HOURS[0] * 60, (sum(HOURS) - HOURS[-1]) * 60
    return int(rng.integers(first, last - length)) + np.arange(length)
