"""The reference of the collapse rule: the accuracy on a version's card, and the days of its evaluation."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from mlops_dagster.registry.cards import EvaluationSlice
from mlops_dagster.statistics import wilson_interval

LEFT: Final = 0.8
"""A collapsed champion has at most this share of its card's accuracy left."""
HEALTHY: Final = 0.9
"""A healthy champion has about this share of its card's accuracy, or more."""
UNLIKE: Final = 1.25
"""A day is unlike all known days if its error rate exceeds the card's by over this factor of the worst day's excess."""
SURE: Final = 0.01
"""The probability that chance alone may put the accuracy of two days below the healthy limit."""
BLOCK_HOURS: Final = 4
FEWEST_ROWS: Final = 30
"""A day with fewer labelled answers than this is not judged."""


@dataclass(frozen=True, slots=True)
class CardAccuracy:
    """The accuracy on a card: its value, and its lower bound with 99 % confidence."""

    accuracy: float
    low: float

    @classmethod
    def of(cls, evaluation: EvaluationSlice) -> "CardAccuracy":
        right = round(evaluation.metrics["accuracy"] * evaluation.rows)
        return cls(right / evaluation.rows, wilson_interval(right, evaluation.rows, 1 - 2 * SURE)[0])

    @property
    def healthy(self) -> float:
        """The healthy limit: the accuracy that a collapsed champion must be proven to be below."""
        return min(HEALTHY * self.accuracy, self.low)

    @property
    def needed(self) -> int | None:
        """Labelled answers a day to detect a loss of exactly a fifth in most cases; None if no number is enough."""
        from scipy.special import stdtrit

        lost = LEFT * self.accuracy
        if self.healthy <= lost:
            return None
        errors = float(stdtrit(2 * (24 // BLOCK_HOURS) - 1, 1 - SURE)) + 1.5
        return max(round(errors**2 * lost * (1 - lost) / (self.healthy - lost) ** 2 / 2 + 0.5), FEWEST_ROWS)


def unlike_any(card: CardAccuracy, known: Sequence[tuple[int, int]]) -> float:
    """Return the rate of wrong answers above which a day is unlike all `known` days, given as (wrong, rows).

    >>> round(unlike_any(CardAccuracy(0.9, 0.88), [(12, 100), (18, 100)]), 3)
    0.2
    """
    worst = max((wrong / rows for wrong, rows in known if rows >= FEWEST_ROWS), default=0.0)
    return 1 - card.accuracy + UNLIKE * max(worst - (1 - card.accuracy), 0.0)
