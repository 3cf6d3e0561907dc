"""Fold of spool entries into a tally: pure, each entry once."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from hashlib import blake2b
from typing import Literal, NamedTuple, TypeAlias

from mlops_dagster.predictions.encoded import Arm, PredictionEntry, ShedEntry
from mlops_dagster.predictions.records import SERVED
from mlops_dagster.predictions.rollups.counting.cells import FeatureCounter
from mlops_dagster.predictions.rollups.counting.tally import (
    HOUR,
    MINUTE,
    ArmKey,
    ArmMinute,
    CellKey,
    FirstOfKey,
    FirstOfMinute,
    PairMinute,
    Tally,
    UnitLabel,
    UnitScored,
)
from mlops_dagster.predictions.rollups.latency import buckets
from mlops_dagster.predictions.spool.entries import Entry
from mlops_dagster.statistics import Bins
from mlops_dagster.tasks import UNKNOWN_TASK, Task

BinsOf: TypeAlias = Callable[[str, str], Mapping[str, Bins] | None]
"""Returns the bins of a model's version by feature, and "score"; None if it has none: its features are not counted."""

SlowMsOf: TypeAlias = Callable[[str], float]
"""Function of a model that returns the number of milliseconds above which a request is slow."""

TaskOf: TypeAlias = Callable[[str, str], Task]
"""Returns the task of a model's version, whose loss says how wrong an answer is."""

_LONGEST_NAME = 200
_DRAWN_OF = 2**64


def classification(_model: str, _version: str) -> Task:
    """Return a classification of unknown classes, in which an answer is right if it is the label: a `TaskOf`."""
    return UNKNOWN_TASK


def tally(entries: Sequence[Entry], bins_of: BinsOf, slow_ms_of: SlowMsOf, task_of: TaskOf = classification) -> Tally:
    """Fold entries into a tally, in their order."""
    result = Tally()
    by_arm: dict[ArmKey, _Rows] = {}
    slow_ms, task = cache(slow_ms_of), cache(task_of)
    for entry in entries:
        if entry.is_shed:
            _add_shed(result, entry.shed())
        elif entry.is_late:
            late = entry.late()
            _add_label(result, task, _Known(late["model"], late["label"], late["at"]), [late["late"]], late["beside"])
        elif entry.sequence is None:
            label = entry.label()
            _add_label(result, task, _Known(label["model"], label["label"], label["at"]), label["arms"])
        else:
            prediction = entry.prediction()
            arm = ArmKey(prediction["model"], prediction["version"], prediction["role"], prediction["weight"])
            if arm not in by_arm:
                by_arm[arm] = _Rows(bins_of(arm.model, arm.version) if arm.role in SERVED else None)
            by_arm[arm].add(prediction)
            if prediction["row"] == 0:
                _add_request(result, arm, prediction, slow_ms(arm.model))
            if prediction["unit"]:
                _add_unit(result, arm, prediction)
    for arm, rows in by_arm.items():
        _add_rows(result, arm, rows)
    return result


class _Rows:
    """The predictions of one arm, as columns: keeping whole entries would take twice the time."""

    def __init__(self, bins: Mapping[str, Bins] | None) -> None:
        self.minutes: list[int] = []
        self.latencies: list[float] = []
        self.failed: list[int] = []
        self.served = FeatureCounter(bins) if bins else None

    def add(self, prediction: PredictionEntry) -> None:
        self.minutes.append(prediction["event_time"] // MINUTE)
        self.latencies.append(prediction["latency_ms"])
        if prediction["status"] == "failed":
            self.failed.append(prediction["event_time"] // MINUTE)
        if self.served is not None and prediction["status"] != "rejected":
            self.served.add(prediction, prediction["event_time"] // HOUR)


def _add_rows(result: Tally, arm: ArmKey, rows: _Rows) -> None:
    for minute, n in Counter(rows.minutes).items():
        result.minutes[ArmMinute(arm, minute)].rows += n
    for minute, n in Counter(rows.failed).items():
        result.minutes[ArmMinute(arm, minute)].failed_rows += n
    for (minute, bucket), n in Counter(zip(rows.minutes, buckets(rows.latencies), strict=True)).items():
        result.latencies[arm, minute, bucket] += n
    if rows.served is not None:
        for hour, column, bins, counts in rows.served.cells():
            result.cells[CellKey(arm, hour, column)] = (bins, counts)


def _add_request(result: Tally, arm: ArmKey, prediction: PredictionEntry, slow_ms: float) -> None:
    """Count a request, given its first row: all rows of a request have the same status and latency."""
    at = ArmMinute(arm, prediction["event_time"] // MINUTE)
    counts = result.minutes[at]
    counts.requests += 1
    if prediction["status"] in ("rejected", "held"):
        result.refused[arm, at.minute, prediction["status"], prediction["code"] or ""] += 1
    if prediction["status"] == "failed":
        counts.errors += 1
        counts.first_error_at = min(prediction["event_time"], counts.first_error_at or prediction["event_time"])
        _add_first(result, FirstOfKey(at, "bad_errors", _scope(arm, prediction["salt"]), ""), prediction["key"])
    if prediction["latency_ms"] > slow_ms:
        counts.slow += 1
        _add_first(result, FirstOfKey(at, "bad_slow", _scope(arm, prediction["salt"]), ""), prediction["key"])
    if (pair := _pair(prediction)) is not None:
        _add_both(result, pair, prediction)


def _add_both(result: Tally, pair: PairMinute, prediction: PredictionEntry) -> None:
    """Count a request that two versions scored, and its failures; of one key one a minute, chosen by its time."""
    beside = prediction["beside"]
    status = {prediction["version"]: prediction["status"]}
    if beside is not None:
        status[beside["version"]] = beside["status"]
    names = {
        (False, False): (),
        (True, True): ("both_failed",),
        (True, False): ("champion_failed",),
        (False, True): ("challenger_failed",),
    }[status[pair.champion] == "failed", status[pair.challenger] == "failed"]
    if prediction["key"] is not None:
        result.first_of_minute.append(FirstOfMinute(pair, ("requests", *names), prediction["key"]))
        return
    for name in ("requests", *names):
        result.count(pair, name)


def _add_unit(result: Tally, arm: ArmKey, prediction: PredictionEntry) -> None:
    """Note a unit's answered row, for its arm and its pair; the first such row of a unit speaks for it."""
    minute, ok = prediction["event_time"] // MINUTE, prediction["status"] == "ok"
    scored = UnitScored(ArmMinute(arm, minute), prediction["unit"], prediction["request"])
    if ok and arm.role in SERVED:
        result.answered_units.append(scored)
    beside, pair = prediction["beside"], _pair(prediction)
    if ok and pair is not None and beside is not None and beside["status"] == "ok":
        result.paired_units.append(scored._replace(at=pair))


def _pair(prediction: PredictionEntry) -> PairMinute | None:
    """Return the pair compared by a row scored off the response path; a shadow is compared with the champion only."""
    beside = prediction["beside"]
    if beside is None:
        return None
    minute, model, version = prediction["event_time"] // MINUTE, prediction["model"], prediction["version"]
    match prediction["role"], beside["role"]:
        case (("paired" | "shadow"), "champion"):
            return PairMinute(model, beside["version"], version, minute)
        case "paired", "canary":
            return PairMinute(model, version, beside["version"], minute)
        case _:
            return None


def _scope(arm: ArmKey, salt: str) -> str:
    """Return the scope of first events: champion and canary share one in a rollout, other roles have one a version."""
    return f"{salt} served" if arm.role in SERVED else f"{salt} {arm.role} {arm.version}"


def _add_first(result: Tally, event: FirstOfKey, key: str | None) -> None:
    """Count an event without a key, as a request is a unit; with a key, the store decides if it is the first."""
    if key is None:
        result.count(event.at, event.field)
    else:
        result.first_of_key.append(event._replace(key=key))


def _name(text: str) -> str:
    """Return a cell as the tables can hold it: clients choose labels, and PostgreSQL refuses NUL and very long keys.

    >>> _name("late"), len(_name("x" * 1000))
    ('late', 200)
    """
    return text[:_LONGEST_NAME].replace("\0", "\ufffd")


def _add_shed(result: Tally, shed: ShedEntry) -> None:
    arm = ArmKey(shed["model"], shed["version"], shed["role"], shed["weight"])
    result.shed[arm, shed["event_time"] // MINUTE] += shed["shed"]


class _Known(NamedTuple):
    """The label of a prediction that came first."""

    model: str
    label: str
    at: int  # microseconds


def _add_label(result: Tally, task_of: TaskOf, known: _Known, arms: Sequence[Arm], beside: Sequence[Arm] = ()) -> None:
    """Count a label for these arms, and for the pairs they make with one another and with those counted before."""
    model, truth = known.model, known.label
    for arm in arms:
        task = task_of(model, arm["version"])
        at = ArmMinute(ArmKey(model, arm["version"], arm["role"], arm["weight"]), arm["event_time"] // MINUTE)
        counts, wrong = result.minutes[at], _drawn(task.loss(arm["prediction"], truth), arm["request"])
        counts.labelled += 1
        counts.wrong += wrong
        result.confusion[
            at.arm, arm["event_time"] // HOUR, _name(task.cell(truth)), _name(task.cell(arm["prediction"]))
        ] += 1
        if arm["unit"] and arm["role"] in SERVED and arm["weight"] < 1:
            scored = UnitScored(at, arm["unit"], arm["request"])
            result.unit_labels.append(
                UnitLabel(scored, "wrong" if wrong else "right", _name(task.stratum(truth)), known.at)
            )
    champion, challengers = sides([*beside, *arms])
    if champion is None or not champion["unit"]:
        return
    for challenger in challengers:
        if champion not in arms and challenger not in arms:
            continue
        pair = PairMinute(model, champion["version"], challenger["version"], champion["event_time"] // MINUTE)
        scored = UnitScored(pair, champion["unit"], champion["request"])
        lost = task_of(model, champion["version"]).loss(champion["prediction"], truth)
        task = task_of(model, challenger["version"])
        outcome = _outcome(lost - task.loss(challenger["prediction"], truth), champion["request"])
        result.unit_labels.append(UnitLabel(scored, outcome, _name(task.stratum(truth)), known.at))


def sides(arms: Sequence[Arm]) -> tuple[Arm | None, list[Arm]]:
    """Return the champion of one prediction, and the arms compared with it.

    Where the canary answered, the paired row is the champion's; where the champion answered, it is the canary's. A
    shadow is compared with the champion that answered. A row that a request named is compared with nothing, nor is one
    that the arm in charge failed to answer: then it is not known which version the paired row is of.
    """
    by_role = {arm["role"]: arm for arm in arms}
    shadows = [arm for arm in arms if arm["role"] == "shadow"]
    paired = by_role.get("paired")
    if canary := by_role.get("canary"):
        return paired, [canary]
    return by_role.get("champion"), [paired, *shadows] if paired else shadows


def _outcome(gain: float, request: str) -> Literal["win", "loss", "tie"]:
    """Return the outcome of a pair in which the challenger's loss is less than the champion's by `gain`, -1 to 1.

    A part of a whole loss becomes a whole win or loss by chance, and else a tie, so that the mean stays the gain, and
    bets on wins and losses stay valid (docs/decisions/0057).
    """
    if not _drawn(abs(gain), request):
        return "tie"
    return "win" if gain > 0 else "loss"


def _drawn(chance: float, request: str) -> bool:
    """Return True with this chance, by a hash of the request's name, so that a recount draws the same."""
    if chance <= 0 or chance >= 1:
        return chance > 0
    digest = blake2b(f"loss {request}".encode(), digest_size=8).digest()
    return int.from_bytes(digest) / _DRAWN_OF < chance
