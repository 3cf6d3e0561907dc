"""Counts of what versions did: they add up over minutes, replicas and roles, and nothing else is evidence."""

from dataclasses import dataclass, fields
from typing import Literal, Self, TypeAlias

BadEvent: TypeAlias = Literal["error", "slow", "wrong"]
"""A failed request, a slow answer, a wrong prediction."""


@dataclass(frozen=True, slots=True)
class _Sums:
    """Integers that are added field by field."""

    def __add__(self, other: Self) -> Self:
        return type(self)(*(getattr(self, each.name) + getattr(other, each.name) for each in fields(self)))

    def __sub__(self, other: Self) -> Self:
        return type(self)(*(getattr(self, each.name) - getattr(other, each.name) for each in fields(self)))


@dataclass(frozen=True, slots=True)
class EventCounts(_Sums):
    """What one arm did.

    `requests`, `errors` and `slow` are requests, however many rows they have; `rows`, `failed_rows`, `labelled` and
    `wrong` are rows. The others are independent, evidence is made of them: `bad_errors` and `bad_slow` leave out all
    but the first of each routing key in a rollout; `units` are rows that speak for their request and key (`units.py`)
    and were answered, `unit_labels` those of them whose label has come, and `bad_wrong` those that were wrong.
    """

    requests: int = 0
    errors: int = 0
    slow: int = 0
    bad_errors: int = 0
    bad_slow: int = 0
    rows: int = 0
    failed_rows: int = 0
    labelled: int = 0
    wrong: int = 0
    units: int = 0
    unit_labels: int = 0
    bad_wrong: int = 0

    def bad(self, metric: BadEvent) -> int:
        """Return the independent bad events of that kind."""
        return {"error": self.bad_errors, "slow": self.bad_slow, "wrong": self.bad_wrong}[metric]

    def chances(self, metric: BadEvent) -> int:
        """Return how many there could have been."""
        return self.unit_labels if metric == "wrong" else self.requests

    @property
    def unlabelled(self) -> int:
        """Rows that were answered and whose label has not come, or never will."""
        return max(self.rows - self.failed_rows - self.labelled, 0)


@dataclass(frozen=True, slots=True)
class PairedCounts(_Sums):
    """Labelled units that both versions predicted. A win is the challenger right and the champion wrong."""

    wins: int = 0
    losses: int = 0
    ties: int = 0

    @property
    def total(self) -> int:
        return self.wins + self.losses + self.ties

    @property
    def swapped(self) -> "PairedCounts":
        """The same, seen from the other version."""
        return PairedCounts(self.losses, self.wins, self.ties)


@dataclass(frozen=True, slots=True)
class BothScored(_Sums):
    """Requests that both versions scored, and those on which one of them failed, or both (the first of each key)."""

    requests: int = 0
    challenger_failed: int = 0
    champion_failed: int = 0
    both_failed: int = 0

    @property
    def discordant(self) -> int:
        """How often exactly one of the two failed."""
        return self.challenger_failed + self.champion_failed

    @property
    def swapped(self) -> "BothScored":
        """The same, seen from the other version."""
        return BothScored(self.requests, self.champion_failed, self.challenger_failed, self.both_failed)
