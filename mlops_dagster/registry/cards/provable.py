"""The losses that the daily checks will be able to prove of a version, computed at its evaluation."""

from mlops_dagster.documents.strict import StrictModel
from mlops_dagster.registry.cards.parts import NonNegative, Share


class ProvableLoss(StrictModel):
    """A loss of quality, and the median number of days after which the test of concept drift proves it."""

    name: str
    """The size of the loss: "x2" is twice the errors; "a fifth of the accuracy" is that."""
    wrong: Share
    """The rate of wrong answers that the loss leads to."""
    days: NonNegative | None
    """The days until the proof; None if it takes longer than the days that were simulated, or never comes."""


class ProvableDrift(StrictModel):
    """The losses that the test of concept drift can prove, over all rows together."""

    evaluated_days: NonNegative | None
    """The number of days of the evaluation; None if unknown."""
    rows_per_day: float | None
    limit: float | None
    """The rate of wrong answers above which the test sees a loss; None if the test has no limit."""
    losses: tuple[ProvableLoss, ...] = ()
    mute_slices: tuple[str, ...] = ()
    """Slices in which even twice the errors stay below the limit."""


class ProvableFloor(StrictModel):
    """The losses that the floor of the headline measure can prove."""

    floor: Share
    evaluated: Share | None
    """The headline measure of the card."""
    days_to_rows: NonNegative | None
    """Days until the floor has the labels that it needs; None if the window never has them, or if unknown."""
    by_chance: Share | None
    """The share of all windows in which a version as good as evaluated is below the floor by chance."""
    days_to_tell: NonNegative | None
    """Days after a loss of a fifth of the accuracy until the whole interval is below the floor."""


class Provable(StrictModel):
    """The losses that can be proven, in plain sentences and in numbers."""

    lines: tuple[str, ...]
    drift: ProvableDrift
    floor: ProvableFloor
    collapse_rows: NonNegative | None = None
    """Labels a day that are enough to see a loss of a fifth within its second day; None if no number is enough."""
