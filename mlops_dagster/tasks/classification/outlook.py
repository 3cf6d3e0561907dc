"""The outlook of macro-F1, from the confusion table of an evaluation."""

from collections.abc import Mapping
from functools import cached_property
from typing import TypeAlias

from mlops_dagster.statistics import macro_f1_interval, macro_f1_under, metrics_from_confusion

Confusion: TypeAlias = Mapping[tuple[str, str], int]
"""The count of each (true, predicted) pair of classes."""


class MacroF1Outlook:
    """The macro-F1 of later answers, if these are like those of an evaluation with one row at least."""

    def __init__(self, confusion: Confusion) -> None:
        self._confusion = confusion

    @cached_property
    def value(self) -> float:
        """The macro-F1 of the evaluation, of the classes that it saw."""
        return metrics_from_confusion(self._confusion).macro_f1

    def chance_under(self, limit: float, rows: int) -> float:
        """Return the probability that the macro-F1 of `rows` answers like the evaluated ones is under `limit`."""
        return macro_f1_under(self._confusion, limit, rows=rows)

    def most_after_loss(self, left: float, share: float, rows: float) -> float | None:
        """Return the upper bound of macro-F1 in `rows` answers, of which `share` have `left` of the right answers."""
        lost, total = _with_loss(self._confusion, left), sum(self._confusion.values())
        mixed = {
            pair: round((self._confusion.get(pair, 0) * (1 - share) + lost[pair] * share) / total * rows)
            for pair in lost
        }
        interval = macro_f1_interval(mixed) if any(mixed.values()) else None
        return None if interval is None else interval[1]


def _with_loss(confusion: Confusion, left: float) -> dict[tuple[str, str], float]:
    """Return `confusion` with `left` of each class's right answers; the others are spread as its wrong ones are."""
    labels = sorted({label for pair in confusion for label in pair})
    seen: dict[str, dict[str, int]] = {}
    for (truth, said), n in confusion.items():
        if truth != said and n:
            seen.setdefault(truth, {})[said] = n
    found: dict[tuple[str, str], float] = {}
    for truth in labels:
        # 1,000 classes have a million possible pairs: only the pairs that were seen are counted.
        evenly = {} if truth in seen else {said: 1 for said in labels if said != truth}
        right, wrong = confusion.get((truth, truth), 0), seen.get(truth, {})
        moved = right * (1 - left) if wrong or evenly else 0.0
        parts = wrong or evenly
        found[truth, truth] = right - moved
        found |= {(truth, said): wrong.get(said, 0) + moved * n / sum(parts.values()) for said, n in parts.items()}
    return found
