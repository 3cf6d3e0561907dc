"""What is seen of a rollout: counts that add up, and nothing else."""

import math
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, TypeAlias

BadEvent: TypeAlias = Literal["error", "slow", "wrong"]
"""A failed request, a slow answer, a wrong prediction."""


@dataclass(frozen=True, slots=True)
class EventCounts:
    """What one arm did.

    Bad events come in one unit per routing key too: of a key's bad events of one kind in a rollout only the first is
    in `bad_*`, else a single broken key would be taken for many independent failures.
    """

    requests: int = 0
    errors: int = 0
    slow: int = 0
    labelled: int = 0
    wrong: int = 0
    bad_errors: int = 0
    bad_slow: int = 0
    bad_wrong: int = 0

    def all(self, metric: BadEvent) -> int:
        """Every bad event of that kind."""
        return {"error": self.errors, "slow": self.slow, "wrong": self.wrong}[metric]

    def bad(self, metric: BadEvent) -> int:
        """The independent ones among them."""
        return {"error": self.bad_errors, "slow": self.bad_slow, "wrong": self.bad_wrong}[metric]

    def chances(self, metric: BadEvent) -> int:
        """How many there could have been."""
        return self.labelled if metric == "wrong" else self.requests

    @property
    def unlabelled(self) -> int:
        """Answers whose label has not come, or never will."""
        return max(self.requests - self.errors - self.labelled, 0)

    def __add__(self, other: "EventCounts") -> "EventCounts":
        return EventCounts(
            self.requests + other.requests,
            self.errors + other.errors,
            self.slow + other.slow,
            self.labelled + other.labelled,
            self.wrong + other.wrong,
            self.bad_errors + other.bad_errors,
            self.bad_slow + other.bad_slow,
            self.bad_wrong + other.bad_wrong,
        )


@dataclass(frozen=True, slots=True)
class StepCounts:
    """Both arms while the canary's share of the traffic was `weight`."""

    weight: float
    canary: EventCounts
    champion: EventCounts


@dataclass(frozen=True, slots=True)
class PairedCounts:
    """Requests that both versions scored and whose label is known, seen from the challenger."""

    wins: int = 0
    losses: int = 0
    ties: int = 0

    @property
    def total(self) -> int:
        return self.wins + self.losses + self.ties

    @property
    def swapped(self) -> "PairedCounts":
        """Seen from the other version."""
        return PairedCounts(self.losses, self.wins, self.ties)

    def __add__(self, other: "PairedCounts") -> "PairedCounts":
        return PairedCounts(self.wins + other.wins, self.losses + other.losses, self.ties + other.ties)


@dataclass(frozen=True, slots=True)
class RecentCounts:
    """Everything the challenger scored from one minute of the rollout on."""

    minute: int
    """Counted from the one in which the rollout began, which is 0; from 1 on."""
    requests: int
    bad_errors: int


@dataclass(frozen=True, slots=True)
class Evidence:
    """Everything known about a rollout at `through`."""

    steps: tuple[StepCounts, ...]
    paired: PairedCounts
    """All of them, those of the watch among them."""
    shadow: EventCounts
    """What the challenger scored off the response path: in shadow, and for pairs since."""
    step_paired: PairedCounts
    """Since the present step began."""
    through: datetime
    champion_beside: EventCounts = EventCounts()
    """What the champion scored off the response path, for pairs where the challenger answered. None in decisions from
    before it was counted."""
    watch: EventCounts = EventCounts()
    """What the challenger answered since it was promoted."""
    watch_paired: PairedCounts = PairedCounts()
    """Of requests since it was promoted."""
    not_loaded: str = ""
    """Why the data plane cannot load the challenger, once it has tried for a minute; empty if that was not said."""
    recent: tuple[RecentCounts, ...] = ()
    """The challenger's last minutes: since this minute began, and since 1, 2, 4, 8... minutes before, as far as the
    rollout goes back. None in decisions from before they were counted."""

    @property
    def canary(self) -> EventCounts:
        """What the challenger answered as canary."""
        return sum((step.canary for step in self.steps), EventCounts())

    @property
    def champion(self) -> EventCounts:
        """What the champion answered meanwhile."""
        return sum((step.champion for step in self.steps), EventCounts())

    def canary_at(self, weight: float) -> EventCounts:
        """What the challenger answered while its share was `weight`."""
        return next((step.canary for step in self.steps if math.isclose(step.weight, weight)), EventCounts())

    @property
    def pairs_without_label(self) -> int:
        """Pairs that prove nothing yet: each has one side that was scored off the response path."""
        return self.shadow.unlabelled + self.champion_beside.unlabelled

    @property
    def challenger(self) -> EventCounts:
        """Everything the challenger scored."""
        return self.canary + self.shadow + self.watch
