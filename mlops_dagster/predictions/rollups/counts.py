"""Counts of each version's events: they add up over minutes, replicas and roles, and are the only evidence."""

import operator
from dataclasses import dataclass, fields
from typing import Literal, NamedTuple, Self, TypeAlias

from mlops_dagster.predictions.records import Refusal, Role

BadEvent: TypeAlias = Literal["error", "slow", "wrong"]
"""The kind of a bad event: a failed request, a slow answer, or a wrong prediction."""


@dataclass(frozen=True, slots=True)
class _Sums:
    """Integers that are added field by field."""

    def __add__(self, other: Self) -> Self:
        return type(self)(*map(operator.add, _values(self), _values(other)))

    def __sub__(self, other: Self) -> Self:
        return type(self)(*map(operator.sub, _values(self), _values(other)))


_READERS: dict[type[_Sums], "operator.attrgetter[tuple[int, ...]]"] = {}
"""The function that reads all fields, by class: pages and evidence add up thousands of counts."""


def _values(counts: _Sums) -> tuple[int, ...]:
    kind = type(counts)
    if kind not in _READERS:
        _READERS[kind] = operator.attrgetter(*(each.name for each in fields(kind)))
    return _READERS[kind](counts)


@dataclass(frozen=True, slots=True)
class EventCounts(_Sums):
    """The event counts of one arm.

    `requests`, `errors` and `slow` count requests, however many rows they have; `rows`, `failed_rows`, `labelled` and
    `wrong` count rows. The others count independent events, from which evidence is made: `bad_errors` and `bad_slow`
    count only the first of each routing key in a rollout; `units` are answered rows that speak for their request and
    key (`units.py`), `unit_labels` those of them whose label has come, and `bad_wrong` those of them that were wrong.
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
        """Return the number of independent bad events of a kind."""
        return {"error": self.bad_errors, "slow": self.bad_slow, "wrong": self.bad_wrong}[metric]

    def chances(self, metric: BadEvent) -> int:
        """Return the number of chances for a bad event of a kind: labelled units for "wrong", or else requests."""
        return self.unit_labels if metric == "wrong" else self.requests

    @property
    def unlabelled(self) -> int:
        """The number of answered rows without a label, whether it comes later or never."""
        return max(self.rows - self.failed_rows - self.labelled, 0)


@dataclass(frozen=True, slots=True)
class PairedCounts(_Sums):
    """Labelled units that both versions predicted. In a win the challenger is right and the champion wrong."""

    wins: int = 0
    losses: int = 0
    ties: int = 0

    @property
    def total(self) -> int:
        return self.wins + self.losses + self.ties

    @property
    def swapped(self) -> "PairedCounts":
        """The same counts with champion and challenger exchanged."""
        return PairedCounts(self.losses, self.wins, self.ties)


@dataclass(frozen=True, slots=True)
class BothScored(_Sums):
    """Requests that both versions scored, and how many of them one or both failed (the first of a key each minute)."""

    requests: int = 0
    challenger_failed: int = 0
    champion_failed: int = 0
    both_failed: int = 0

    @property
    def swapped(self) -> "BothScored":
        """The same counts with champion and challenger exchanged."""
        return BothScored(self.requests, self.champion_failed, self.challenger_failed, self.both_failed)


class ArmEvents(NamedTuple):
    """The events of one version in one role at one weight."""

    version: str
    role: Role
    weight: float
    counts: EventCounts


class RefusedCounts(NamedTuple):
    """Requests that no version scored, by the version they were routed to ("": none) and the code of the error."""

    version: str
    status: Refusal
    code: str
    requests: int


@dataclass(frozen=True, slots=True)
class ShedCounts:
    """Scorings off the response path that were left out, by the version that would have scored them."""

    version: str
    role: Role
    rows: int
