"""What a stretch of the spool adds to the rollups: a pure fold."""

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Literal, NamedTuple, TypeAlias

from mlops_dagster.predictions.cells import Served
from mlops_dagster.predictions.entries import Entry
from mlops_dagster.predictions.latency import buckets
from mlops_dagster.predictions.records import SERVED, Arm, LabelEntry, PredictionEntry, Role, ShedEntry
from mlops_dagster.statistics import Bins, Counts

BinsOf: TypeAlias = Callable[[str, str], Mapping[str, Bins] | None]
"""The bins of a model's version by feature, and "score"; None if it has none, then its features are not counted."""

SlowMsOf: TypeAlias = Callable[[str], float]
"""From how many milliseconds on a request to a model is slow."""

Metric: TypeAlias = Literal["error", "slow", "wrong"]

_LONGEST_NAME = 200

MINUTE = 60_000_000  # microseconds
HOUR = 60 * MINUTE


class ArmKey(NamedTuple):
    model: str
    version: str
    role: Role
    weight: float


class PairKey(NamedTuple):
    model: str
    champion: str
    challenger: str
    weight: float
    minute: int  # of the label


class BadEvent(NamedTuple):
    """One that counts as evidence only if its routing key had none like it before in this rollout (salt)."""

    arm: ArmKey
    minute: int
    metric: Metric
    salt: str
    key: str


class CellKey(NamedTuple):
    arm: ArmKey
    hour: int
    feature: str


@dataclass(slots=True)
class MinuteCounts:
    requests: int = 0
    errors: int = 0
    slow: int = 0
    labelled: int = 0
    wrong: int = 0
    bad_errors: int = 0
    bad_slow: int = 0
    bad_wrong: int = 0
    first_error_at: int | None = None  # microseconds


@dataclass(slots=True)
class PairMinute:
    wins: int = 0
    losses: int = 0
    ties: int = 0
    first_loss_at: int | None = None  # microseconds


@dataclass(slots=True)
class Tally:
    """Counts by event time; pairs by the time of the label."""

    minutes: defaultdict[tuple[ArmKey, int], MinuteCounts] = field(default_factory=lambda: defaultdict(MinuteCounts))
    pairs: defaultdict[PairKey, PairMinute] = field(default_factory=lambda: defaultdict(PairMinute))
    latencies: Counter[tuple[ArmKey, int, int]] = field(default_factory=Counter)
    outputs: Counter[tuple[ArmKey, int, str]] = field(default_factory=Counter)
    confusion: Counter[tuple[ArmKey, int, str, str]] = field(default_factory=Counter)
    shed: Counter[tuple[ArmKey, int]] = field(default_factory=Counter)
    bad_events: list[BadEvent] = field(default_factory=list)
    cells: dict[CellKey, tuple[Bins, Counts]] = field(default_factory=dict)

    def arms(self) -> set[ArmKey]:
        """Everything that was counted by arm has an entry here."""
        return {arm for arm, _ in (*self.minutes, *self.shed)}


def tally(entries: Sequence[Entry], bins_of: BinsOf, slow_ms_of: SlowMsOf) -> Tally:
    """Fold entries, in their order."""
    result = Tally()
    by_arm: dict[ArmKey, _Rows] = {}
    slow_ms = cache(slow_ms_of)
    for entry in entries:
        if entry.is_shed:
            _add_shed(result, entry.shed())
        elif entry.sequence is None:
            _add_label(result, entry.label())
        else:
            prediction = entry.prediction()
            arm = ArmKey(prediction["model"], prediction["version"], prediction["role"], prediction["weight"])
            if arm not in by_arm:
                by_arm[arm] = _Rows(bins_of(arm.model, arm.version) if arm.role in SERVED else None)
            by_arm[arm].add(prediction)
            if prediction["status"] == "failed" or prediction["latency_ms"] > slow_ms(arm.model):
                _add_bad(result, arm, prediction, slow_ms(arm.model))
    for arm, rows in by_arm.items():
        _add_rows(result, arm, rows)
    return result


class _Rows:
    """The predictions of one arm, as columns: to hold on to whole entries would take twice the time."""

    def __init__(self, bins: Mapping[str, Bins] | None) -> None:
        self.minutes: list[int] = []
        self.latencies: list[float] = []
        self.outputs: list[str | None] = []
        self.served = Served(bins) if bins else None

    def add(self, prediction: PredictionEntry) -> None:
        self.minutes.append(prediction["event_time"] // MINUTE)
        self.latencies.append(prediction["latency_ms"])
        self.outputs.append(prediction["prediction"])
        if self.served is not None and prediction["status"] != "rejected":
            self.served.add(prediction, prediction["event_time"] // HOUR)


def _add_rows(result: Tally, arm: ArmKey, rows: _Rows) -> None:
    for minute, requests in Counter(rows.minutes).items():
        result.minutes[arm, minute].requests += requests
    for (minute, bucket), n in Counter(zip(rows.minutes, buckets(rows.latencies), strict=True)).items():
        result.latencies[arm, minute, bucket] += n
    for (minute, output), n in Counter(zip(rows.minutes, rows.outputs, strict=True)).items():
        if output is not None:
            result.outputs[arm, minute, _name(output)] += n
    if rows.served is not None:
        for hour, column, bins, counts in rows.served.cells():
            result.cells[CellKey(arm, hour, column)] = (bins, counts)


def _add_bad(result: Tally, arm: ArmKey, prediction: PredictionEntry, slow_ms: float) -> None:
    at = prediction["event_time"]
    minute = at // MINUTE
    counts = result.minutes[arm, minute]
    if prediction["status"] == "failed":
        counts.errors += 1
        counts.first_error_at = min(at, counts.first_error_at or at)
        counts.bad_errors += _is_first(result, arm, minute, "error", prediction["salt"], prediction["key"])
    if prediction["latency_ms"] > slow_ms:
        counts.slow += 1
        counts.bad_slow += _is_first(result, arm, minute, "slow", prediction["salt"], prediction["key"])


def _name(text: str) -> str:
    """A class as the tables hold it: clients write labels, and PostgreSQL neither NUL nor index entries of any length.

    >>> _name("late"), len(_name("x" * 1000))
    ('late', 200)
    """
    return text[:_LONGEST_NAME].replace("\0", "\ufffd")


def _is_first(result: Tally, arm: ArmKey, minute: int, metric: Metric, salt: str, key: str | None) -> bool:
    """Without a key the request is the unit, and first of its kind; with one, the store knows."""
    if key is None:
        return True
    result.bad_events.append(BadEvent(arm, minute, metric, salt, key))
    return False


def _add_shed(result: Tally, shed: ShedEntry) -> None:
    arm = ArmKey(shed["model"], shed["version"], shed["role"], shed["weight"])
    result.shed[arm, shed["event_time"] // MINUTE] += shed["shed"]


def _add_label(result: Tally, label: LabelEntry) -> None:
    truth = label["label"]
    for arm in label["arms"]:
        key = ArmKey(label["model"], arm["version"], arm["role"], arm["weight"])
        minute = arm["event_time"] // MINUTE
        counts = result.minutes[key, minute]
        counts.labelled += 1
        result.confusion[key, minute, _name(truth), _name(arm["prediction"])] += 1
        if arm["prediction"] != truth:
            counts.wrong += 1
            counts.bad_wrong += _is_first(result, key, minute, "wrong", arm["salt"], arm["key"])
    champion, challengers = sides(label["arms"])
    if champion is None:
        return
    for challenger in challengers:
        pair = PairKey(
            label["model"], champion["version"], challenger["version"], challenger["weight"], label["at"] // MINUTE
        )
        _add_pair(result.pairs[pair], champion["prediction"] == truth, challenger["prediction"] == truth, label["at"])


def sides(arms: Sequence[Arm]) -> tuple[Arm | None, list[Arm]]:
    """The champion of one prediction, and those compared with it.

    Where the canary answered, the paired row is the champion's; where the champion answered, the canary's.
    A row asked for by name is compared with nothing, nor is one that the arm in charge failed to answer: then it is
    not known whose the paired row is.
    """
    by_role = {arm["role"]: arm for arm in arms}
    shadows = [arm for arm in arms if arm["role"] == "shadow"]
    paired = by_role.get("paired")
    if canary := by_role.get("canary"):
        return paired, [canary, *shadows]
    return by_role.get("champion"), [paired, *shadows] if paired else shadows


def _add_pair(pair: PairMinute, champion_right: bool, challenger_right: bool, at: int) -> None:
    if champion_right == challenger_right:
        pair.ties += 1
    elif challenger_right:
        pair.wins += 1
    else:
        pair.losses += 1
        pair.first_loss_at = min(at, pair.first_loss_at or at)
