"""What a collapse is held against: the accuracy on a card, and the days it was evaluated on."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from mlops_dagster.registry.cards import EvaluationSlice
from mlops_dagster.statistics import wilson_interval

LEFT: Final = 0.8
"""The share of its accuracy that a champion which has collapsed has left, at most."""
HEALTHY: Final = 0.9
"""The share of it that a healthy one has, more or less, at least."""
UNLIKE: Final = 1.25
"""So much farther over the card's rate of errors than the worst day known a day is unlike any."""
SURE: Final = 0.01
"""How often chance may take the accuracy of two days under what is healthy."""
BLOCK_HOURS: Final = 4
FEWEST_ROWS: Final = 30
"""A day of fewer labelled answers is looked at by nobody."""


@dataclass(frozen=True, slots=True)
class CardAccuracy:
    """What a card says of the accuracy: its value, and the lower bound of 99 % of what it may be."""

    accuracy: float
    low: float

    @classmethod
    def of(cls, evaluation: EvaluationSlice) -> "CardAccuracy":
        right = round(evaluation.metrics["accuracy"] * evaluation.rows)
        return cls(right / evaluation.rows, wilson_interval(right, evaluation.rows, 1 - 2 * SURE)[0])

    @property
    def healthy(self) -> float:
        """The accuracy that a collapsed champion is proven to be under."""
        return min(HEALTHY * self.accuracy, self.low)

    @property
    def needed(self) -> int | None:
        """Labelled answers a day with which a loss of exactly a fifth is mostly told; None if no number is enough."""
        from scipy.special import stdtrit

        lost = LEFT * self.accuracy
        if self.healthy <= lost:
            return None
        errors = float(stdtrit(2 * (24 // BLOCK_HOURS) - 1, 1 - SURE)) + 1.5
        return max(round(errors**2 * lost * (1 - lost) / (self.healthy - lost) ** 2 / 2 + 0.5), FEWEST_ROWS)


def unlike_any(card: CardAccuracy, known: Sequence[tuple[int, int]]) -> float:
    """The rate of wrong answers over which a day is like none of those known, (wrong, rows).

    >>> round(unlike_any(CardAccuracy(0.9, 0.88), [(12, 100), (18, 100)]), 3)
    0.2
    """
    worst = max((wrong / rows for wrong, rows in known if rows >= FEWEST_ROWS), default=0.0)
    return 1 - card.accuracy + UNLIKE * max(worst - (1 - card.accuracy), 0.0)
