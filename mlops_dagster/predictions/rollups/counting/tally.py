"""Additions to the rollups from a stretch of the spool: counts, and events that count once for a key or a unit."""

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from mlops_dagster.predictions.records import Role
from mlops_dagster.statistics import Bins, Counts

MINUTE = 60_000_000  # microseconds
HOUR = 60 * MINUTE
DAY = 24 * HOUR


class ArmKey(NamedTuple):
    model: str
    version: str
    role: Role
    weight: float


class ArmMinute(NamedTuple):
    """One arm in one minute of event time."""

    arm: ArmKey
    minute: int


class PairMinute(NamedTuple):
    """Two versions that scored the same requests, in one minute of event time."""

    model: str
    champion: str
    challenger: str
    minute: int


class FirstOfKey(NamedTuple):
    """A bad event, counted as `field` of `at` only if its routing key had none like it before in `scope`."""

    at: ArmMinute
    field: str
    scope: str
    key: str


class FirstOfMinute(NamedTuple):
    """A request that both versions scored, counted as all `fields` if it is its key's first of that minute."""

    at: PairMinute
    fields: tuple[str, ...]
    key: str


class UnitScored(NamedTuple):
    """A predicted row; it speaks for its unit unless a row of another request was answered before it."""

    at: ArmMinute | PairMinute
    unit: str
    request: str


class UnitLabel(NamedTuple):
    """The label of a UnitScored row, counted only if that row speaks. `win`, `loss` and `tie` are of pairs."""

    scored: UnitScored
    outcome: Literal["right", "wrong", "win", "loss", "tie"]
    label: str
    at: int  # microseconds


class CellKey(NamedTuple):
    arm: ArmKey
    hour: int
    feature: str


@dataclass(slots=True)
class ArmCounts:
    """`EventCounts` to be added, and the time of the first failed request."""

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
    first_error_at: int | None = None  # microseconds


@dataclass(slots=True)
class PairCounts:
    """`BothScored` to be added, and the number of units that both versions predicted."""

    requests: int = 0
    challenger_failed: int = 0
    champion_failed: int = 0
    both_failed: int = 0
    units: int = 0


@dataclass(slots=True)
class Outcomes:
    """`PairedCounts` to be added, and the time at which the label of the first loss became known."""

    wins: int = 0
    losses: int = 0
    ties: int = 0
    first_loss_at: int | None = None  # microseconds


@dataclass(slots=True)
class Tally:
    """Counts by event time, and events that may count once for a key or a unit: the database decides which do."""

    minutes: defaultdict[ArmMinute, ArmCounts] = field(default_factory=lambda: defaultdict(ArmCounts))
    pairs: defaultdict[PairMinute, PairCounts] = field(default_factory=lambda: defaultdict(PairCounts))
    outcomes: defaultdict[tuple[PairMinute, str], Outcomes] = field(default_factory=lambda: defaultdict(Outcomes))
    latencies: Counter[tuple[ArmKey, int, int]] = field(default_factory=Counter)
    confusion: Counter[tuple[ArmKey, int, str, str]] = field(default_factory=Counter)  # by the hour
    shed: Counter[tuple[ArmKey, int]] = field(default_factory=Counter)
    refused: Counter[tuple[ArmKey, int, str, str]] = field(default_factory=Counter)  # by minute, status and code
    first_of_key: list[FirstOfKey] = field(default_factory=list)
    first_of_minute: list[FirstOfMinute] = field(default_factory=list)
    answered_units: list[UnitScored] = field(default_factory=list)
    paired_units: list[UnitScored] = field(default_factory=list)
    unit_labels: list[UnitLabel] = field(default_factory=list)
    cells: dict[CellKey, tuple[Bins, Counts]] = field(default_factory=dict)

    def arms(self) -> set[ArmKey]:
        """Return every arm that has counts."""
        return {arm for arm, _ in (*self.minutes, *self.shed)}

    def count(self, at: ArmMinute | PairMinute, name: str) -> None:
        """Add one to the field `name` of the counts at `at`."""
        counts = self.minutes[at] if isinstance(at, ArmMinute) else self.pairs[at]
        setattr(counts, name, getattr(counts, name) + 1)
