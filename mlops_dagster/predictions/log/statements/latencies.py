"""Exact quantiles of latencies, of counts in narrow slots and the few values next to each quantile."""

from bisect import bisect_right
from collections import defaultdict
from itertools import accumulate
from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias

from mlops_dagster.clock import in_utc
from mlops_dagster.predictions.engine.engine import Engine, Source, Statement
from mlops_dagster.predictions.log.statements.labelled import Window

if TYPE_CHECKING:
    import pyarrow as pa

SLOTS: Final = 1000
"""The number of slots in which latencies grow by a factor e: a slot is 0.1 % wide."""
LOWEST_SLOT: Final = -1_000_000
"""The slot of latencies that are not above 0."""
_AT: Final = (0.50, 0.95, 0.99)

_Arm: TypeAlias = tuple[str, str]

_VALUES: Final = """
SELECT version, role, latency_ms, count(*) AS n FROM rows
WHERE day >= ? AND day <= ? AND event_time >= ? AND event_time < ? AND role IN ({roles}) AND ({ranges})
GROUP BY version, role, latency_ms
ORDER BY version, role, latency_ms
"""


class Quantiles(NamedTuple):
    """Quantiles of latency in ms, between values as NumPy has them; NaN if no row has a latency."""

    p50_ms: float
    p95_ms: float
    p99_ms: float


class _Slot(NamedTuple):
    """Latencies from `low` to `high`, which are two of them; `before` others are lower."""

    low: float
    high: float
    before: int
    n: int

    def value(self, rank: int) -> float | None:
        """Return the value of a rank; None if the ends of the slot do not tell it."""
        if self.low == self.high or rank == self.before:
            return self.low
        return self.high if rank == self.before + self.n - 1 else None


def latency_quantiles(engine: Engine, window: Window, rows: Source, counts: "pa.Table") -> dict[_Arm, Quantiles]:
    """Return the quantiles by version and role.

    `counts` has the columns version, role, slot, n, low and high. Only the values of slots that hold a quantile are
    asked for. Raises as `Engine.run`.
    """
    slots = {arm: _slots(rows_of) for arm, rows_of in _by_arm(counts).items()}
    needed = {
        arm: {slot for rank in _ranks(its) if (slot := _of(its, rank)).value(rank) is None}
        for arm, its in slots.items()
    }
    values = _values(engine, window, rows, {arm: found for arm, found in needed.items() if found})
    return {arm: _quantiles(its, values.get(arm, [])) for arm, its in slots.items()}


def _by_arm(counts: "pa.Table") -> dict[_Arm, list[dict[str, float]]]:
    found: defaultdict[_Arm, list[dict[str, float]]] = defaultdict(list)
    for row in counts.to_pylist():
        found[row["version"], row["role"]].append(row)
    return found


def _slots(counts: list[dict[str, float]]) -> list[_Slot]:
    """Return the slots of one arm in order, those of all statuses together."""
    merged: dict[float, list[dict[str, float]]] = defaultdict(list)
    for row in counts:
        if row["slot"] is not None:
            merged[row["slot"]].append(row)
    slots: list[_Slot] = []
    before = 0
    for number in sorted(merged):
        its = merged[number]
        n = int(sum(row["n"] for row in its))
        slots.append(_Slot(min(row["low"] for row in its), max(row["high"] for row in its), before, n))
        before += n
    return slots


def _places(slots: list[_Slot]) -> list[tuple[int, int, float]]:
    """Return for each quantile the ranks between which it lies, and how far."""
    if not slots:
        return []
    last = slots[-1].before + slots[-1].n - 1
    places = ((last * at, int(last * at)) for at in _AT)
    return [(rank, min(rank + 1, last), place - rank) for place, rank in places]


def _ranks(slots: list[_Slot]) -> set[int]:
    return {rank for low, high, _ in _places(slots) for rank in (low, high)}


def _of(slots: list[_Slot], rank: int) -> _Slot:
    return next(slot for slot in reversed(slots) if slot.before <= rank)


def _values(
    engine: Engine, window: Window, rows: Source, needed: dict[_Arm, set[_Slot]]
) -> dict[_Arm, list[tuple[float, int]]]:
    """Return the latencies of these slots, in order, with the number of each."""
    found: defaultdict[_Arm, list[tuple[float, int]]] = defaultdict(list)
    if not needed:
        return found
    ranges = [(*arm, slot.low, slot.high) for arm, slots in needed.items() for slot in slots]
    text = _VALUES.format(
        roles=", ".join("?" * len(window.roles)),
        ranges=" OR ".join(["(version = ? AND role = ? AND latency_ms >= ? AND latency_ms <= ?)"] * len(ranges)),
    )
    since, until = in_utc(window.since), in_utc(window.until)
    parameters = [
        since.date(),
        until.date(),
        since,
        until,
        *window.roles,
        *(value for each in ranges for value in each),
    ]
    for row in engine.run(Statement(text, {"rows": rows}, parameters)).to_pylist():
        found[row["version"], row["role"]].append((row["latency_ms"], row["n"]))
    return found


def _quantiles(slots: list[_Slot], values: list[tuple[float, int]]) -> Quantiles:
    if not slots:
        return Quantiles(*[float("nan")] * len(_AT))
    known = {rank: _value(_of(slots, rank), rank, values) for rank in _ranks(slots)}
    return Quantiles(*(_between(known[low], known[high], part) for low, high, part in _places(slots)))


def _value(slot: _Slot, rank: int, values: list[tuple[float, int]]) -> float:
    found = slot.value(rank)
    if found is not None:
        return found
    its = [(value, n) for value, n in values if slot.low <= value <= slot.high]
    upto = list(accumulate((n for _, n in its), initial=slot.before))[1:]
    return its[bisect_right(upto, rank)][0]


def _between(low: float, high: float, part: float) -> float:
    """Return the value between two, rounded as NumPy rounds it."""
    width = high - low
    return low + width * part if part < 0.5 else high - width * (1 - part)
