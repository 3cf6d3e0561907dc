"""Calibration: the truths of an evaluation by prediction and score, as counts, by which later answers are estimated."""

import math
from bisect import bisect_right
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

from mlops_dagster.errors import InvalidInputError


@dataclass(frozen=True, slots=True)
class Bracket:
    """The answers of one prediction with scores in one interval, counted by truth."""

    above: float
    """The lower end, which is part of the interval; -inf for the first bracket of a prediction."""
    truths: Mapping[str, int]

    @property
    def rows(self) -> int:
        return sum(self.truths.values())


Places: TypeAlias = Counter[tuple[str, int | None]]
"""How many answers are in each bracket of each prediction; None for a prediction that the calibration lacks."""


@dataclass(frozen=True, slots=True)
class Calibration:
    """The brackets of each prediction, in the order of their scores."""

    brackets: Mapping[str, tuple[Bracket, ...]]

    def place(self, predicted: str, score: float) -> int | None:
        """Return the index of an answer's bracket among those of its prediction; None for an unknown prediction.

        >>> late = (Bracket(-math.inf, {"late": 6, "ok": 4}), Bracket(0.8, {"late": 9, "ok": 1}))
        >>> [Calibration({"late": late}).place("late", score) for score in (0.5, 0.8, 0.99)]
        [0, 1, 1]
        """
        brackets = self.brackets.get(predicted)
        return None if brackets is None else bisect_right([each.above for each in brackets], score) - 1

    def to_json(self) -> dict[str, object]:
        """Return, by prediction, [lower end or null, {truth: rows}] of each bracket."""
        return {
            predicted: [[None if math.isinf(each.above) else each.above, dict(each.truths)] for each in brackets]
            for predicted, brackets in self.brackets.items()
        }

    @classmethod
    def from_json(cls, data: object) -> "Calibration":
        """Return the calibration that `to_json` wrote; raises InvalidInputError."""
        if isinstance(data, Mapping):
            found = {str(predicted): _brackets(brackets) for predicted, brackets in data.items()}
            if all(found.values()):
                return cls(found)
        raise InvalidInputError(f"this is not a calibration as to_json writes it: {data!r:.300}")


def _brackets(data: object) -> tuple[Bracket, ...]:
    """Return the brackets of a prediction; empty if one is out of order or has no counts."""
    found: list[Bracket] = []
    for each in data if isinstance(data, list) else []:
        match each:
            case [None | int() | float() as above, Mapping() as truths] if truths and all(
                type(rows) is int and rows > 0 for rows in truths.values()
            ):
                lower = -math.inf if above is None else float(above)
                if (not found) == math.isinf(lower) and (not found or lower > found[-1].above):
                    found.append(Bracket(lower, {str(name): rows for name, rows in truths.items()}))
                    continue
        return ()
    return tuple(found)
