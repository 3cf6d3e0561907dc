"""Evidence of a rollout: only counts that add up."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from mlops_dagster.predictions import BothScored, EventCounts, PairedCounts

RECENT: Final = timedelta(hours=2)
"""Evidence is recent if the challenger has scored a request within this time."""

NO_EVENTS: Final = EventCounts()
NO_PAIRS: Final = PairedCounts()
NONE_SCORED: Final = BothScored()

ByStratum = Mapping[str, PairedCounts]
"""Wins, losses and ties of the challenger by stratum of the truth, such as its class."""


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
    """The minute, counted from the one in which the rollout began, which is 0."""
    steps: tuple[StepCounts, ...]
    both: BothScored
    """Requests that both versions scored, whichever answered."""
    challenger: EventCounts = NO_EVENTS
    """All events of the challenger, in any role."""
    incumbent: EventCounts = NO_EVENTS
    """All events of the champion, in any role; after the promotion, of the old champion."""

    @property
    def canary(self) -> EventCounts:
        """The events of the challenger as canary."""
        return sum((step.canary for step in self.steps), NO_EVENTS)

    @property
    def champion(self) -> EventCounts:
        """The events of the champion while there was a canary."""
        return sum((step.champion for step in self.steps), NO_EVENTS)


@dataclass(frozen=True, slots=True)
class LabelsSince:
    """Outcomes of predictions from a minute of the rollout on, as far as their labels are complete."""

    minute: int
    outcomes: ByStratum
    steps: tuple[StepCounts, ...] = ()


@dataclass(frozen=True, slots=True)
class Labels:
    """The labels of a rollout, of predictions from a time whose labels are complete to the policy's share in both arms.

    If only some predictions have a label, the class, the outcome or the arm may determine which ones do.
    """

    units: int = 0
    """The number of independent predictions: those that both versions made, or that either arm answered."""
    labelled: int = 0
    """The number of these with a label, including labels that do not count yet."""
    complete_until: datetime | None = None
    """The labels of predictions made before this time are complete; None if there is no such time."""
    since: tuple[LabelsSince, ...] = (LabelsSince(0, {}),)
    """The first one is of the whole rollout."""
    rows: int = 0
    """The number of labelled rows that both predicted, including rows that speak for no unit."""
    step: int = 0
    """The number of these predicted since the present step began: a minimum for each step, returning users included."""
    watch: ByStratum | None = None
    """The outcomes since the promotion: of the new champion against the old one."""
    days: tuple[PairedCounts, ...] = ()
    """The outcomes of each day (UTC), in order."""

    @property
    def share(self) -> float | None:
        """The share of predictions whose label is known; None before the first prediction."""
        return self.labelled / self.units if self.units else None

    @property
    def paired(self) -> PairedCounts:
        """All complete pairs, including those of the bake."""
        return total(self.since[0].outcomes)

    @property
    def canary(self) -> EventCounts:
        """Complete answers of the challenger as canary."""
        return sum((step.canary for step in self.since[0].steps), NO_EVENTS)

    def canary_at(self, weight: float) -> EventCounts:
        """Return the complete answers of the challenger as canary while its share was `weight`."""
        return _at(self.since[0].steps, weight)


@dataclass(frozen=True, slots=True)
class Evidence:
    """All evidence of a rollout up to `through`."""

    through: datetime
    since: tuple[EventsSince, ...] = (EventsSince(0, (), NONE_SCORED),)
    """The first one is from the start of the rollout on; the others from 0, 1, 2, 4, 8... minutes before now on."""
    shadow: EventCounts = NO_EVENTS
    """The challenger's scorings off the response path: in shadow, and for pairs since then."""
    champion_beside: EventCounts = NO_EVENTS
    """The champion's scorings off the response path, for pairs where the challenger answered."""
    watch: EventCounts = NO_EVENTS
    """The challenger's answers since its promotion."""
    recent: EventCounts = NO_EVENTS
    """The challenger's scorings within the last two hours (`RECENT`), in any role."""
    labels: Labels = Labels()
    not_loaded: str = ""
    """The reason why the data plane cannot load the challenger, after trying for a minute; empty if there is none."""

    @property
    def steps(self) -> tuple[StepCounts, ...]:
        """The counts of both arms at each weight."""
        return self.since[0].steps

    @property
    def canary(self) -> EventCounts:
        """The events of the challenger as canary."""
        return self.since[0].canary

    @property
    def champion(self) -> EventCounts:
        """The events of the champion while there was a canary."""
        return self.since[0].champion

    def canary_at(self, weight: float) -> EventCounts:
        """Return the events of the challenger as canary while its share was `weight`."""
        return _at(self.steps, weight)

    @property
    def pairs_without_label(self) -> int:
        """The number of rows that prove nothing yet: one side was scored off the response path, and has no label."""
        return self.shadow.unlabelled + self.champion_beside.unlabelled

    @property
    def challenger(self) -> EventCounts:
        """All events of the challenger."""
        return self.canary + self.shadow + self.watch


def _at(steps: tuple[StepCounts, ...], weight: float) -> EventCounts:
    return next((step.canary for step in steps if math.isclose(step.weight, weight)), NO_EVENTS)


def total(outcomes: ByStratum) -> PairedCounts:
    """Return the wins, losses and ties of all strata together."""
    return sum(outcomes.values(), NO_PAIRS)
