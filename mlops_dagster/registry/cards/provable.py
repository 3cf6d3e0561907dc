"""What the daily checks will be able to prove of a version, computed when it was evaluated."""

from mlops_dagster.documents.strict import StrictModel
from mlops_dagster.registry.cards.parts import NonNegative, Share


class ProvableLoss(StrictModel):
    """One loss, and after how many days of it the test of concept drift proves it, in the median."""

    name: str
    """"x2" is twice the errors; "a fifth of the accuracy" is that."""
    wrong: Share
    """The rate of wrong answers it comes to."""
    days: NonNegative | None
    """None if not within the days that were looked at, or never."""


class ProvableDrift(StrictModel):
    """Of the test of concept drift, over all rows together."""

    evaluated_days: NonNegative | None
    """None where nobody knows how many there were."""
    rows_per_day: float | None
    limit: float | None
    """The rate of wrong answers over which a loss is one; None where the test has none."""
    losses: tuple[ProvableLoss, ...] = ()
    mute_slices: tuple[str, ...] = ()
    """Slices of which not even twice the errors are over the limit."""


class ProvableFloor(StrictModel):
    """Of the macro-F1 floor."""

    floor: Share
    macro_f1: Share | None
    """That of the card."""
    days_to_rows: NonNegative | None
    """Days until as many labels are there as it needs; None if the window never has them, or nobody knows."""
    by_chance: Share | None
    """How often a version as evaluated is under the floor, of all windows, by chance."""
    days_to_tell: NonNegative | None
    """Days of a loss of a fifth of the accuracy until the whole interval is under the floor."""


class Provable(StrictModel):
    """What can be proven, in plain sentences and in numbers."""

    lines: tuple[str, ...]
    drift: ProvableDrift
    floor: ProvableFloor
    collapse_rows: NonNegative | None = None
    """Labels a day with which a loss of a fifth is told within its second day; None if no number is enough."""
