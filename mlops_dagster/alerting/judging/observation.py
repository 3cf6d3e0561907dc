"""The observation: the numbers of one rule at one look, or the reason why there are none."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeAlias


@dataclass(frozen=True, slots=True)
class Counted:
    """The events of one part of a rate (a feature; "" if the rate has one part) since the last look."""

    bad: int
    trials: int
    tolerated: float = 0.0
    """A rate that is tolerated anyway, above the limit or not."""
    rows_per_observation: float = 1.0
    """The number of these trials that count as one observation; 1 or more."""


@dataclass(frozen=True, slots=True)
class Seen:
    """The numbers of a rule; the larger `value` or the rate of `counts`, the worse."""

    version: str | None = None
    """The version that the numbers are about; None if they are about the model."""
    value: float = 0.0
    """The number that is compared with the limits, if the rule is no rate."""
    samples: int | None = None
    """The number of events that `value` was computed from, if it was computed from events."""
    counts: Mapping[str, Counted] = field(default_factory=dict)
    """The events of a rate by part; empty if the rule is no rate."""
    said: str = ""
    """The finding in a sentence, for a rule whose number does not say enough."""
    kept: tuple[float, ...] = ()
    """Numbers that the next observation of this rule, or the text of its alert, needs."""


@dataclass(frozen=True, slots=True)
class Missing:
    """The lack of numbers. It opens nothing and resolves nothing."""

    reason: str


Observation: TypeAlias = Seen | Missing
