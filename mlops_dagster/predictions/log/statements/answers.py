"""Counts of the answers of a window, by version and role, prediction and label, and by other parts: in one statement.

The rows stay with the engine; what comes back is as large as there are different answers.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias

from mlops_dagster.predictions.engine.engine import Engine, Source, Statement
from mlops_dagster.predictions.log.statements.labelled import ROW_COLUMNS, Window, labelled
from mlops_dagster.predictions.log.statements.latencies import LOWEST_SLOT, SLOTS, Quantiles, latency_quantiles

if TYPE_CHECKING:
    import pyarrow as pa

INTERVAL: Final = "interval"
"""The column of a part by intervals: the number of edges that are not above the value; null for a missing value."""


class ByValue(NamedTuple):
    """Answers by the values of a feature, of either kind."""

    feature: str


class ByInterval(NamedTuple):
    """Answers by the interval that a number is in, between `edges`, which increase."""

    feature: str
    edges: tuple[float, ...]


Part: TypeAlias = ByValue | ByInterval
Arm: TypeAlias = tuple[str, str]
"""A version and a role."""


class Requests(NamedTuple):
    """The rows that reached one version in one role, labelled or not."""

    rows: int
    errors: int
    latencies: Quantiles


@dataclass(frozen=True)
class AnswerCounts:
    """Counts of the rows of a window that reached a version."""

    requests: Mapping[Arm, Requests]
    hours: "pa.Table"
    """Labelled answers by version, role, prediction, label and `hour` of the day in UTC, with their number `n`."""
    parts: Mapping[Part, "pa.Table"] = field(default_factory=dict)
    """Labelled answers by version, role, prediction, label and a part, with their number `n`.

    The part's columns are those of the log that have values of the feature, or INTERVAL. A part whose feature the log
    has never seen is left out.
    """


_KEYS: Final = ("version", "role", "prediction", "label")
_COUNTS: Final = """
SELECT version, role, status, slot, prediction, label, h, {names}
    count(*) AS n, min(latency_ms) AS low, max(latency_ms) AS high,
    CASE WHEN grouping(status) = 0 THEN 0 WHEN grouping(h) = 0 THEN 1 {numbers} END AS part
FROM (
    SELECT version, role, status, prediction, label, latency_ms, hour(event_time) AS h, {values}
        CASE WHEN latency_ms <= 0 THEN {lowest}
            WHEN latency_ms < 1e300 THEN CAST(floor(ln(latency_ms) * {slots}) AS INT) END AS slot
    FROM labelled WHERE version <> ''
) AS cells
GROUP BY GROUPING SETS ((version, role, status, slot), (version, role, prediction, label, h){sets})
ORDER BY part, version, role, status, slot, prediction, label, h{order}
"""


def of_arm(counted: "pa.Table", version: str, role: str | None = None) -> "pa.Table":
    """Return the counts of one version, in one role or in all."""
    import pyarrow.compute as pc

    its = counted.filter(pc.equal(counted["version"], version))
    return its if role is None else its.filter(pc.equal(its["role"], role))


class CountedPart(NamedTuple):
    """A part with the columns of the log that it is made of, for its rows; none twice among all parts."""

    part: Part
    columns: tuple[str, ...]


def counted_parts(schema: "pa.Schema", parts: Iterable[Part]) -> list[CountedPart]:
    """Return the parts, each once, with their columns in a log of this schema; without those that it never saw."""
    from mlops_dagster.predictions.log.columns import feature_column

    found = []
    for part in dict.fromkeys(parts):
        kinds = (True,) if isinstance(part, ByInterval) else (True, False)
        columns = (feature_column(schema, part.feature, numeric=numeric) for numeric in kinds)
        if known := tuple(filter(None, columns)):
            found.append(CountedPart(part, known))
    return found


def answer_columns(parts: Iterable[CountedPart]) -> dict[str, str]:
    """Return the columns of the log that `count_answers` reads, by their names in the statement."""
    own = {name: name for name in ("version", "status", "prediction", "latency_ms")}
    return {**ROW_COLUMNS, **own, **{name: column for column, name in _names(parts).items()}}


def count_answers(
    engine: Engine, window: Window, rows: Source, labels: Source, parts: Iterable[CountedPart]
) -> AnswerCounts:
    """Count the answers of a window in `rows`, which have `answer_columns`, with `labels`. Raises as `Engine.run`."""
    parts = list(parts)
    found = engine.run(_statement(window, rows, labels, parts))
    of_arms = _of_set(found, 0)
    latencies = latency_quantiles(engine, window, rows, of_arms)
    judged = {number: _judged(_of_set(found, number)) for number in range(1, len(parts) + 2)}
    return AnswerCounts(
        {arm: Requests(*counted, latencies[arm]) for arm, counted in _requests(of_arms).items()},
        judged[1].select([*_KEYS, "n", "h"]).rename_columns([*_KEYS, "n", "hour"]),
        {each.part: _named(judged[number], each, parts) for number, each in enumerate(parts, start=2)},
    )


def _statement(window: Window, rows: Source, labels: Source, parts: list[CountedPart]) -> Statement:
    names = _names(parts)
    columns = [name for name in answer_columns(parts) if name not in ("id", "request", "day")]
    aliases = [_aliases(each, parts) for each in parts]
    values = [
        f"{_interval(names[each.columns[0]], each.part.edges)} AS {alias[0]}, "
        if isinstance(each.part, ByInterval)
        else "".join(f"{name}, " for name in alias)
        for each, alias in zip(parts, aliases, strict=True)
    ]
    text = _COUNTS.format(
        lowest=LOWEST_SLOT,
        slots=SLOTS,
        names="".join(f"{name}, " for alias in aliases for name in alias),
        values="".join(values),
        numbers=" ".join(f"WHEN grouping({alias[0]}) = 0 THEN {n}" for n, alias in enumerate(aliases, start=2)),
        order="".join(f", {name}" for alias in aliases for name in alias),
        sets="".join(f", ({', '.join((*_KEYS, *alias))})" for alias in aliases),
    )
    return labelled(window, rows, labels, [*columns, "label"], text)


def _interval(name: str, edges: Iterable[float]) -> str:
    """Return the number of edges that are not above a value: doubles are written with an exponent, decimals are not."""
    cases = " ".join(f"WHEN {name} < {edge:.17e} THEN {number}" for number, edge in enumerate(edges))
    return f"CASE WHEN {name} IS NULL OR isnan({name}) THEN NULL {cases} ELSE {len(tuple(edges))} END"


def _names(parts: Iterable[CountedPart]) -> dict[str, str]:
    """Return a plain name for each column of the log: a feature may be called anything."""
    columns = dict.fromkeys(column for each in parts for column in each.columns)
    return {column: f"v{number}" for number, column in enumerate(columns)}


def _aliases(each: CountedPart, parts: list[CountedPart]) -> tuple[str, ...]:
    """Return the names of a part's columns in the result."""
    if isinstance(each.part, ByInterval):
        return (f"i{parts.index(each)}",)
    return tuple(_names(parts)[column] for column in each.columns)


def _of_set(found: "pa.Table", number: int) -> "pa.Table":
    import pyarrow.compute as pc

    return found.filter(pc.equal(found["part"], number))


def _judged(found: "pa.Table") -> "pa.Table":
    import pyarrow.compute as pc

    return found.filter(pc.and_(pc.is_valid(found["label"]), pc.is_valid(found["prediction"])))


def _named(found: "pa.Table", each: CountedPart, parts: list[CountedPart]) -> "pa.Table":
    columns = (INTERVAL,) if isinstance(each.part, ByInterval) else each.columns
    return found.select([*_KEYS, "n", *_aliases(each, parts)]).rename_columns([*_KEYS, "n", *columns])


def _requests(found: "pa.Table") -> dict[Arm, tuple[int, int]]:
    """Return the number of rows and of failed ones, by version and role."""
    counted: dict[Arm, tuple[int, int]] = {}
    for row in found.group_by(["version", "role", "status"]).aggregate([("n", "sum")]).to_pylist():
        arm = row["version"], row["role"]
        rows, errors = counted.get(arm, (0, 0))
        counted[arm] = rows + row["n_sum"], errors + row["n_sum"] * (row["status"] == "failed")
    return counted
