"""False alarms of a rule on live accuracy, and the hours until it tells of a loss: by threshold and by proof.

    .venv/bin/python bench/alert_rules.py

A model gets 1,000 labels a day. The rule is "warn under 93 %", looked at every 5 minutes over the labels of 24 hours.
With independent labels, and with days that share causes (a storm, a sale): 20 labels of a day are worth one, which the
bound and the e-detector know; the one of the last column takes labels as independent. Seeded; the e-detector is
computed for all lives at once, and held against the functions of the product. docs/concepts/alerts.md says what the
figures mean.
"""

import argparse
import math
from collections.abc import Iterator
from typing import Final

import numpy as np
import numpy.typing as npt
from rich.console import Console
from rich.table import Table

from mlops_dagster.alerting.judging.proof import HOURS_A_YEAR, MENDED
from mlops_dagster.statistics import LogEvidence, fall, log_evidence, rise
from mlops_dagster.statistics.e_values.rate import ODDS_RATIOS

Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.int64]

LIMIT: Final = 0.07
"""The rate of wrong answers."""
A_DAY, STEPS_A_DAY, DAYS = 1000, 288, 90
STEP_HOURS: Final = 24 / STEPS_A_DAY
HEALTHY, BEFORE = 0.95, 3
"""The accuracy before a fall, and the days of it."""
FALLS: Final = {0.915: 30, 0.90: 12, 0.85: 6, 0.80: 4, 0.60: 2}
"""Accuracies after a fall, and the days that are looked at."""
SHARED: Final = 20.0
Z99: Final = 2.5758
RULES: Final = "threshold", "for 15 min", "hysteresis", "99 % bound", "e-detector", "unaware"


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--lives", type=int, default=100)
    lives: int = parser.parse_args().lives
    check()
    for title, shared in (
        ("independent labels", 1.0),
        (f"days that share causes, {SHARED:g} labels worth one", SHARED),
    ):
        table = Table("accuracy", "", *RULES, title=title)
        for accuracy in (0.95, 0.932, 0.93):
            opened = alarms(accuracy, lives, shared)
            table.add_row(f"{accuracy:.1%}", "alerts in 90 days", *(f"{each:.1f}" for each in opened))
        for accuracy, days in FALLS.items():
            hours = told(accuracy, days, lives, shared)
            found = [f"{each:.1f}" if math.isfinite(each) else f"over {24 * days}" for each in hours]
            table.add_row(f"{accuracy:.1%}", "median hours to tell", *found)
        Console(width=120).print(table, f"{lives} lives")


def alarms(accuracy: float, lives: int, shared: float) -> list[float]:
    """Return the mean number of alerts of a life, by rule."""
    opened = np.zeros((len(RULES), lives))
    for new in play(np.full(DAYS + 1, accuracy), lives, shared, first=STEPS_A_DAY):
        opened += new
    return [float(each) for each in opened.mean(axis=1)]


def told(accuracy: float, days: int, lives: int, shared: float) -> list[float]:
    """Return the median hours from the fall to the first alert after it, by rule."""
    fell = BEFORE * STEPS_A_DAY
    first = np.full((len(RULES), lives), np.inf)
    rates = np.array([HEALTHY] * BEFORE + [accuracy] * days)
    for step, new in enumerate(play(rates, lives, shared, first=fell), start=1):
        first = np.minimum(first, np.where(new, step * STEP_HOURS, np.inf))
    return [float(each) for each in np.median(first, axis=1)]


def play(accuracies: Floats, lives: int, shared: float, first: int) -> Iterator[Flags]:
    """Yield the alerts that open at each step from `first` on, by rule and life."""
    rng = np.random.default_rng(7)
    rates = np.repeat(np.stack([_day(rng, 1 - each, lives, shared) for each in accuracies]), STEPS_A_DAY, axis=0)
    trials = rng.poisson(A_DAY / STEPS_A_DAY, rates.shape)
    bad = rng.binomial(trials, rates)
    window = [np.cumsum(np.vstack([np.zeros((1, lives)), each]), axis=0) for each in (bad, trials)]
    is_open = np.zeros((len(RULES), lives), dtype=bool)
    over_for = np.zeros(lives)
    detectors = [Detector(lives, shared), Detector(lives, 1.0)]
    for step in range(len(rates)):
        start = max(step + 1 - STEPS_A_DAY, 0)
        wrong, labels = (each[step + 1] - each[start] for each in window)
        rate = wrong / np.maximum(labels, 1)
        over = rate > LIMIT
        over_for = np.where(over, over_for + 1, 0)
        proofs = [each.look(bad[step], trials[step], is_open[at]) for at, each in zip((-2, -1), detectors, strict=True)]
        proven, mended = zip(*proofs, strict=True)
        opens = np.stack([over, over_for >= 4, over, wilson_low(rate, labels / shared) > LIMIT, *proven])
        closes = np.stack([~over, ~over, rate <= LIMIT - 0.005, ~over, *mended])
        new = ~is_open & opens
        is_open = np.where(is_open, ~closes, opens)
        if step >= first:
            yield new


class Detector:
    """The e-detector of many lives."""

    def __init__(self, lives: int, shared: float) -> None:
        self._shared = shared
        self._risen, self._fallen = np.full((lives, len(ODDS_RATIOS)), -np.inf), np.zeros((lives, len(ODDS_RATIOS)))

    def look(self, bad: Ints, trials: Ints, is_open: Flags) -> tuple[Flags, Flags]:
        """Return the lives in which the limit is proven to be broken, and those in which it is kept again."""
        broken = is_open[:, None]
        self._risen = np.where(broken, -np.inf, rises(self._risen, bad, trials, self._shared))
        self._fallen = np.where(broken, falls(self._fallen, bad, trials, self._shared), 0.0)
        return log_mean(self._risen) >= math.log(HOURS_A_YEAR), log_mean(self._fallen) >= math.log(MENDED)


def rises(before: Floats, bad: Ints, trials: Ints, shared: float) -> Floats:
    factors = (bad[:, None] * np.log(ODDS_RATIOS) - trials[:, None] * np.log1p(LIMIT * (ODDS_RATIOS - 1))) / shared
    return np.where(trials[:, None] > 0, factors + np.logaddexp(before, math.log(STEP_HOURS)), before)


def falls(before: Floats, bad: Ints, trials: Ints, shared: float) -> Floats:
    odds = 1 / ODDS_RATIOS
    factors = (bad[:, None] * np.log(odds) - trials[:, None] * np.log1p(LIMIT * (odds - 1))) / shared
    return np.where(trials[:, None] > 0, factors + np.maximum(before, 0), before)


def log_mean(logs: Floats) -> Floats:
    found: Floats = np.logaddexp.reduce(logs, axis=1) - math.log(logs.shape[1])
    return found


def wilson_low(rate: Floats, n: Floats) -> Floats:
    """Return the lower end of Wilson's interval of 99 %."""
    n = np.maximum(n, 1e-9)
    spread = Z99 * np.sqrt(rate * (1 - rate) / n + Z99**2 / (4 * n**2))
    found: Floats = (rate + Z99**2 / (2 * n) - spread) / (1 + Z99**2 / n)
    return found


def _day(rng: np.random.Generator, rate: float, lives: int, shared: float) -> Floats:
    """Return the rate of one day in each life: of the stated mean, and correlated within the day."""
    if shared <= 1:
        return np.full(lives, rate)
    spread = (A_DAY - 1) / (shared - 1) - 1
    return rng.beta(rate * spread, (1 - rate) * spread, lives)


def check() -> None:
    """Hold the e-detector of this file against the functions of the product."""
    rng = np.random.default_rng(1)
    up: LogEvidence = ()
    down: LogEvidence = ()
    risen, fallen = np.full((1, len(ODDS_RATIOS)), -np.inf), np.zeros((1, len(ODDS_RATIOS)))
    for _ in range(200):
        trials = rng.poisson(3, 1)
        bad = rng.binomial(trials, 0.08)
        counts = int(bad[0]), int(trials[0])
        up = rise(up, *counts, limit=LIMIT, elapsed=STEP_HOURS, rows_per_observation=2.0)
        down = fall(down, *counts, limit=LIMIT, rows_per_observation=2.0)
        risen, fallen = rises(risen, bad, trials, 2.0), falls(fallen, bad, trials, 2.0)
    assert math.isclose(log_evidence(up), log_mean(risen)[0])
    assert math.isclose(log_evidence(down), log_mean(fallen)[0])


if __name__ == "__main__":
    main()
