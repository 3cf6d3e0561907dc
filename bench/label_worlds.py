"""Worlds in which labels are late, few, rare or share a day's causes. Seeded by their caller.

Between two versions that are as good, one in 17 predictions is a win or a loss.
"""

from typing import Final, NamedTuple

import numpy as np

from bench.drawing import Drawn, World
from bench.e_values import Floats
from mlops_dagster.rollout import RolloutPolicy
from mlops_dagster.statistics import DesignEffect, difference_design_effect

DISAGREE: Final = 0.06
BOTH_WRONG: Final = 0.04
PER_HOUR: Final = 42
DAY_SPREAD: Final = 0.02
"""The standard deviation of what a day adds to the difference of the two, in accuracy."""
KNOWN_ROWS: Final = 1 + 24 * PER_HOUR * DAY_SPREAD**2 / DISAGREE
EVALUATED_DAYS: Final = 14

PAIRS: Final = RolloutPolicy(soak_hours=12, min_step_requests=1, rows_per_observation=1)
ARMS: Final = PAIRS.model_copy(update={"paired": False})
COMPLAINTS: Final = RolloutPolicy.model_validate(ARMS.model_dump() | {"labels": "complaints"})
LATE: Final = RolloutPolicy.model_validate(
    PAIRS.model_dump() | {"labels": "late", "label_hours": 240, "deadline_hours": 21 * 24, "steps": (0.05, 0.5)}
)
ESTIMATED: Final = RolloutPolicy.model_validate(PAIRS.model_dump() | {"rows_per_observation": None})


class Case(NamedTuple):
    """A world with the truth about its challenger."""

    name: str
    truth: str
    world: World


def cells(loses: float, both_wrong: float = BOTH_WRONG, disagree: float = DISAGREE) -> Floats:
    """The shares of wins, losses, both wrong and both right."""
    lost = (disagree + loses) / 2
    return np.array([disagree - lost, lost, both_wrong, 1 - disagree - both_wrong])


class Even:
    """So many predictions an hour, of classes with these shares and cells; their labels come after `delays`."""

    def __init__(self, per_hour: float, *classes: tuple[float, Floats, tuple[float, float]], daily: float = 0) -> None:
        self._per_hour, self._classes, self._daily = per_hour, classes, daily

    def __call__(self, rng: np.random.Generator, runs: int, hour: int) -> Drawn:
        """Draw an hour; both are wrong more often in the afternoon, and there is more traffic."""
        swing = 1 + self._daily * np.sin(hour / 24 * 2 * np.pi)
        drawn, delays = [], []
        for share, its_cells, (least, most) in self._classes:
            both_wrong = its_cells[2] * swing
            its = np.array([*its_cells[:2], both_wrong, its_cells[3] + its_cells[2] - both_wrong])
            drawn.append(rng.multinomial(rng.poisson(self._per_hour * share * swing, runs), its))
            delays.append(rng.uniform(least, most, runs))
        return Drawn(np.stack(drawn, axis=1), np.stack(delays, axis=1))


class SharedDays:
    """What a day adds to the difference is the same for all its predictions."""

    def __init__(self, loses: float) -> None:
        self._loses, self._today = loses, np.zeros(0)

    def __call__(self, rng: np.random.Generator, runs: int, hour: int) -> Drawn:
        """Draw an hour."""
        if hour % 24 == 0:
            self._today = self._loses + rng.normal(0, DAY_SPREAD, runs)
        of = np.stack([cells(float(np.clip(loses, -DISAGREE, DISAGREE))) for loses in self._today])
        return Drawn(rng.multinomial(rng.poisson(PER_HOUR, runs), of)[:, None], np.zeros((runs, 1)))

    def evaluated(self, rng: np.random.Generator) -> DesignEffect:
        """Return how many rows are worth one, from the days before the rollout."""
        loses = np.clip(self._loses + rng.normal(0, DAY_SPREAD, EVALUATED_DAYS), -DISAGREE, DISAGREE)
        days = [rng.multinomial(24 * PER_HOUR, cells(each)) for each in loses]
        found = difference_design_effect([(int(day[0]), int(day[1]), int(day[2:].sum())) for day in days])
        return found or DesignEffect()


AT_ONCE: Final = (0.0, 0.0)


def _shared(loses: float) -> dict[str, World]:
    days = SharedDays(loses)
    return {
        "r known": World(days, PAIRS.model_copy(update={"rows_per_observation": KNOWN_ROWS})),
        f"r of {EVALUATED_DAYS} days": World(days, ESTIMATED, shared=days.evaluated),
        "r = 1": World(days, PAIRS),
    }


def _arms(canary: float, champion: float) -> World:
    """Labels of either arm come so many hours late; wrong answers and traffic swing over the day."""
    return World(Even(1000, (1.0, cells(0), AT_ONCE), daily=0.8), ARMS, arm_delays=(canary, champion))


def _complaints(per_hour: float, loses: float, policy: RolloutPolicy) -> World:
    """Three of ten wrong answers that were served are complained of."""
    return World(Even(per_hour, (1.0, cells(loses), AT_ONCE)), policy, complaints=0.3)


def _delayed(policy: RolloutPolicy) -> World:
    """6 points better on what is labelled at once, 14 worse on what comes after 5 to 10 days."""
    draw = Even(100, (0.5, cells(-0.06, disagree=0.08), AT_ONCE), (0.5, cells(0.14, disagree=0.2), (120.0, 240.0)))
    return World(draw, policy, classes=("soon", "late"), shares={"soon": 0.5, "late": 0.5})


def _rare(*, finds: bool) -> World:
    """One in a hundred is a fraud, of which the champion finds 80 %, at the price of 0.6 % false alarms."""
    fine, fraud = cells(0, 0.003, 0.006), cells(0, 0.15, 0.1)
    if not finds:
        fine, fraud = np.array([0.006, 0, 0, 0.994]), np.array([0, 0.8, 0.2, 0])
    draw = Even(2000, (0.99, fine, AT_ONCE), (0.01, fraud, AT_ONCE))
    return World(draw, PAIRS, classes=("fine", "fraud"), shares={"fine": 0.99, "fraud": 0.01})


class Swinging:
    """As good over the day, so many points worse in the evening and better in the morning; labels after four hours."""

    def __init__(self, points: float) -> None:
        self._points = points

    def __call__(self, rng: np.random.Generator, runs: int, hour: int) -> Drawn:
        """Draw an hour."""
        of = cells(self._points / 100 * np.sin(hour / 24 * 2 * np.pi), disagree=2 * DISAGREE)
        return Drawn(rng.multinomial(rng.poisson(1000, (runs, 1)), of), np.full((runs, 1), 4.0))


CASES: Final = (
    Case("independent rows", "as good", World(Even(PER_HOUR, (1.0, cells(0), (4.0, 4.0))), PAIRS)),
    *(Case(f"shared days, {name}", "2 points worse", world) for name, world in _shared(0.02).items()),
    *(Case(f"shared days, {name}", "as good", world) for name, world in _shared(0.0).items()),
    Case("arms: labels after 1 h and 6 h", "as good", _arms(1.0, 6.0)),
    Case("arms: labels after 6 h and 1 h", "as good", _arms(6.0, 1.0)),
    Case("by class, labels: all", "4 points worse", _delayed(PAIRS)),
    Case("by class, labels: late, 10 days", "4 points worse", _delayed(LATE)),
    Case("complaints, labels: all", "as good", _complaints(1000, 0.0, PAIRS)),
    Case("complaints, labels: complaints", "as good", _complaints(3000, 0.0, COMPLAINTS)),
    Case("complaints, labels: complaints", "4 points worse", _complaints(3000, 0.04, COMPLAINTS)),
    Case("rare class (1 %)", "never finds it", _rare(finds=False)),
    Case("rare class (1 %)", "as good", _rare(finds=True)),
    *(
        Case(f"evenings {points} points worse", "as good by day", World(Swinging(points), PAIRS))
        for points in (2, 4, 6)
    ),
)
