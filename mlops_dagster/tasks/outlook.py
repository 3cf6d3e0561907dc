"""The outlook of a headline measure: its values in later answers, if these are like those of an evaluation."""

from typing import Protocol


class Outlook(Protocol):
    """The values that a task's headline measure would have in later answers."""

    @property
    def value(self) -> float:
        """Return the measure of the evaluation."""
        ...

    def chance_under(self, limit: float, rows: int) -> float:
        """Return the probability that the measure of `rows` answers like the evaluated ones is under `limit`."""
        ...

    def most_after_loss(self, left: float, share: float, rows: float) -> float | None:
        """Return the upper bound of the measure, with 95 % confidence, in `rows` answers of which many are worse.

        `share` of them come after a loss that leaves `left` of the right answers. None if the bound is not known.
        """
        ...
