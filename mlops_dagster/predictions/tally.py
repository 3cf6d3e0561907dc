"""What a stretch of the spool adds to the rollups: a pure fold."""

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple, TypeAlias

import numpy as np

from mlops_dagster.predictions.entries import Entry
from mlops_dagster.predictions.latency import bucket
from mlops_dagster.predictions.records import SERVED, Arm, LabelEntry, PredictionEntry, Role
from mlops_dagster.statistics import Bins, Counts, NumericBins

BinsOf: TypeAlias = Callable[[str, str], Mapping[str, Bins] | None]
"""The bins of a model's version by feature, and "score"; None if it has none, then its features are not counted."""

SlowMsOf: TypeAlias = Callable[[str], float]
"""From how many milliseconds on a request to a model is slow."""

Metric: TypeAlias = Literal["error", "slow", "wrong"]

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
    confusion: Counter[tuple[ArmKey, int, str, str]] = field(default_factory=Counter)
    bad_events: list[BadEvent] = field(default_factory=list)
    cells: dict[CellKey, tuple[Bins, Counts]] = field(default_factory=dict)


def tally(entries: Sequence[Entry], bins_of: BinsOf, slow_ms_of: SlowMsOf) -> Tally:
    """Fold entries, in their order."""
    result = Tally()
    served: defaultdict[tuple[ArmKey, int], list[PredictionEntry]] = defaultdict(list)
    slow_ms: dict[str, float] = {}
    for entry in entries:
        if entry.sequence is None:
            _add_label(result, entry.label())
            continue
        prediction = entry.prediction()
        model = prediction["model"]
        if model not in slow_ms:
            slow_ms[model] = slow_ms_of(model)
        arm = _add_prediction(result, prediction, slow_ms[model])
        if arm.role in SERVED:
            served[arm, prediction["event_time"] // HOUR].append(prediction)
    for (arm, hour), predictions in served.items():
        _add_cells(result, arm, hour, predictions, bins_of(arm.model, arm.version))
    return result


def _add_prediction(result: Tally, prediction: PredictionEntry, slow_ms: float) -> ArmKey:
    arm = ArmKey(prediction["model"], prediction["version"], prediction["role"], prediction["weight"])
    at = prediction["event_time"]
    minute = at // MINUTE
    counts = result.minutes[arm, minute]
    counts.requests += 1
    result.latencies[arm, minute, bucket(prediction["latency_ms"])] += 1
    if prediction["status"] == "failed":
        counts.errors += 1
        counts.first_error_at = min(at, counts.first_error_at or at)
        counts.bad_errors += _is_first(result, arm, minute, "error", prediction["salt"], prediction["key"])
    if prediction["latency_ms"] > slow_ms:
        counts.slow += 1
        counts.bad_slow += _is_first(result, arm, minute, "slow", prediction["salt"], prediction["key"])
    return arm


def _is_first(result: Tally, arm: ArmKey, minute: int, metric: Metric, salt: str, key: str | None) -> bool:
    """Without a key the request is the unit, and first of its kind; with one, the store knows."""
    if key is None:
        return True
    result.bad_events.append(BadEvent(arm, minute, metric, salt, key))
    return False


def _add_label(result: Tally, label: LabelEntry) -> None:
    truth = label["label"]
    for arm in label["arms"]:
        key = ArmKey(label["model"], arm["version"], arm["role"], arm["weight"])
        minute = arm["event_time"] // MINUTE
        counts = result.minutes[key, minute]
        counts.labelled += 1
        result.confusion[key, minute, truth, arm["prediction"]] += 1
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


def _add_cells(
    result: Tally, arm: ArmKey, hour: int, predictions: list[PredictionEntry], bins: Mapping[str, Bins] | None
) -> None:
    reached = [prediction for prediction in predictions if prediction["status"] != "rejected"]
    for name, feature_bins in (bins or {}).items():
        if name == "score":
            scores = [prediction["score"] for prediction in reached if prediction["status"] == "ok"]
            counts = _count(feature_bins, scores)
        else:
            counts = _count(feature_bins, [prediction["features"].get(name) for prediction in reached])
        result.cells[CellKey(arm, hour, name)] = (feature_bins, counts)


def _count(bins: Bins, values: Sequence[float | str | None]) -> Counts:
    """A value of the wrong kind counts as missing: it must not stop the rollups."""
    kept: list[float | None] | list[str | None]
    if isinstance(bins, NumericBins):
        kept = [float(value) if isinstance(value, int | float) else None for value in values]
    else:
        kept = [value if isinstance(value, str) else None for value in values]
    # An hour has few values: looking each one up is quicker here than `bins.count`, which is made for millions.
    return np.bincount(bins.index(kept), minlength=bins.size)
