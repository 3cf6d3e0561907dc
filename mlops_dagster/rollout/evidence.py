"""What is seen of a rollout: counts that add up, and nothing else."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from mlops_dagster.predictions import BothScored, EventCounts, PairedCounts

RECENT: Final = timedelta(hours=2)
"""Evidence is of now if the challenger has scored something within that."""

NO_EVENTS: Final = EventCounts()
NO_PAIRS: Final = PairedCounts()
NONE_SCORED: Final = BothScored()

ByClass = Mapping[str, PairedCounts]
"""Wins, losses and ties of the challenger by true class."""


@dataclass(frozen=True, slots=True)
class StepCounts:
    """Both arms while the canary's share of the traffic was `weight`."""

    weight: float
    canary: EventCounts
    champion: EventCounts


@dataclass(frozen=True, slots=True)
class EventsSince:
    """Failures and slow answers from a minute of the rollout on."""

    minute: int
    """Counted from the one in which the rollout began, which is 0."""
    steps: tuple[StepCounts, ...]
    both: BothScored
    """Requests that both versions scored, whoever answered."""
    challenger: EventCounts = NO_EVENTS
    """Everything that the challenger scored, in whatever role."""
    incumbent: EventCounts = NO_EVENTS
    """Everything that the champion scored, in whatever role; after the promotion the old one."""

    @property
    def canary(self) -> EventCounts:
        """What the challenger answered as canary."""
        return sum((step.canary for step in self.steps), NO_EVENTS)

    @property
    def champion(self) -> EventCounts:
        """What the champion answered meanwhile."""
        return sum((step.champion for step in self.steps), NO_EVENTS)


@dataclass(frozen=True, slots=True)
class LabelsSince:
    """What labels say of predictions from a minute of the rollout on, as far as they are complete."""

    minute: int
    outcomes: ByClass
    steps: tuple[StepCounts, ...] = ()


@dataclass(frozen=True, slots=True)
class Labels:
    """What labels say, of predictions from a time whose labels are complete to the policy's share, in both arms.

    Where labels have come of some predictions only, which ones may depend on the class, the outcome or the arm.
    """

    units: int = 0
    """Independent predictions of the rollout: those that both versions made, or that either arm answered."""
    labelled: int = 0
    """Of these, with a label; those that do not count yet among them."""
    complete_until: datetime | None = None
    """The labels of predictions made before are complete; None if there is no such time."""
    since: tuple[LabelsSince, ...] = (LabelsSince(0, {}),)
    """The first is the whole of the rollout."""
    rows: int = 0
    """Labelled rows that both predicted, those that speak for no unit among them."""
    step: int = 0
    """Of these, predicted since the present step began: a look at each step, whoever comes back."""
    watch: ByClass | None = None
    """Since the promotion: the new champion beside the old one."""
    days: tuple[PairedCounts, ...] = ()
    """Of each day (UTC) in order."""

    @property
    def share(self) -> float | None:
        """The share of predictions whose label is known; None before the first prediction."""
        return self.labelled / self.units if self.units else None

    @property
    def paired(self) -> PairedCounts:
        """All complete pairs, those of the watch among them."""
        return total(self.since[0].outcomes)

    @property
    def canary(self) -> EventCounts:
        """Complete answers of the challenger as canary."""
        return sum((step.canary for step in self.since[0].steps), NO_EVENTS)

    def canary_at(self, weight: float) -> EventCounts:
        """Those while its share was `weight`."""
        return _at(self.since[0].steps, weight)


@dataclass(frozen=True, slots=True)
class Evidence:
    """Everything known about a rollout at `through`."""

    through: datetime
    since: tuple[EventsSince, ...] = (EventsSince(0, (), NONE_SCORED),)
    """From the start of the rollout on; and from 0, 1, 2, 4, 8... minutes before now on, as far as it goes back."""
    shadow: EventCounts = NO_EVENTS
    """What the challenger scored off the response path: in shadow, and for pairs since."""
    champion_beside: EventCounts = NO_EVENTS
    """What the champion scored off the response path, for pairs where the challenger answered."""
    watch: EventCounts = NO_EVENTS
    """What the challenger answered since it was promoted."""
    recent: EventCounts = NO_EVENTS
    """What the challenger scored within the last two hours (`RECENT`), in whatever role."""
    labels: Labels = Labels()
    not_loaded: str = ""
    """Why the data plane cannot load the challenger, once it has tried for a minute; empty if that was not said."""

    @property
    def steps(self) -> tuple[StepCounts, ...]:
        """Both arms at each weight."""
        return self.since[0].steps

    @property
    def canary(self) -> EventCounts:
        """What the challenger answered as canary."""
        return self.since[0].canary

    @property
    def champion(self) -> EventCounts:
        """What the champion answered meanwhile."""
        return self.since[0].champion

    def canary_at(self, weight: float) -> EventCounts:
        """What the challenger answered while its share was `weight`."""
        return _at(self.steps, weight)

    @property
    def pairs_without_label(self) -> int:
        """Rows that prove nothing yet: each has one side that was scored off the response path."""
        return self.shadow.unlabelled + self.champion_beside.unlabelled

    @property
    def challenger(self) -> EventCounts:
        """Everything the challenger scored."""
        return self.canary + self.shadow + self.watch


def _at(steps: tuple[StepCounts, ...], weight: float) -> EventCounts:
    return next((step.canary for step in steps if math.isclose(step.weight, weight)), NO_EVENTS)


def total(outcomes: ByClass) -> PairedCounts:
    """Wins, losses and ties of all classes."""
    return sum(outcomes.values(), NO_PAIRS)
