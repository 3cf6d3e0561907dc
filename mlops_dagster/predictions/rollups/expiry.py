"""Counts that go because they are old; those by the hour and by the day stay when those by the minute go.

Every count is kept by the minute, and in sums by the hour and by the day at the same time: so nothing is added up when
the finer counts go.
"""

from collections.abc import Collection, Iterator, Mapping
from datetime import datetime
from typing import Final, Literal, TypeAlias

from sqlalchemy import ColumnElement, Connection, Table, and_, func, insert, select, update

from mlops_dagster.database import remove
from mlops_dagster.predictions.records import microseconds
from mlops_dagster.predictions.rollups.counting.tally import DAY, HOUR, MINUTE
from mlops_dagster.predictions.rollups.tables import TABLES, arms, bad_keys, final

Unit: TypeAlias = Literal["minute", "hour", "day"]

LENGTHS: Final[Mapping[Unit, int]] = {"minute": MINUTE, "hour": HOUR, "day": DAY}

_AT_ONCE: Final = 7 * DAY  # the counting of new entries waits for the transaction meanwhile


def tables_by(unit: Unit) -> list[Table]:
    """Return the tables whose rows are counts of a minute, an hour or a day."""
    return [table for table in TABLES.sorted_tables if unit in table.primary_key.columns]


def forget_counts(connection: Connection, model: str, unit: Unit, before: int, *, dry_run: bool) -> int:
    """Delete a model's counts by this unit before a time in microseconds; return how many rows there were."""
    limit = before // LENGTHS[unit]
    return sum(
        remove(connection, table, _of(table, model) & (table.c[unit] < limit), dry_run=dry_run)
        for table in tables_by(unit)
    )


def stretches(connection: Connection, model: str, unit: Unit, before: datetime) -> Iterator[int]:
    """Yield the ends of weeks, in microseconds, by which a model's old counts are deleted, at last `before` itself."""
    oldest = [
        first * LENGTHS[unit]
        for table in tables_by(unit)
        if (first := connection.scalar(select(func.min(table.c[unit])).where(_of(table, model)))) is not None
    ]
    end = microseconds(before)
    yield from range(min(oldest, default=end) + _AT_ONCE, end, _AT_ONCE)
    yield end


def forget_bad_keys(connection: Connection, model: str, salts: Collection[str]) -> int:
    """Delete the routing keys with bad events of a model, but for these salts; return how many."""
    stay = [~bad_keys.c.scope.startswith(f"{salt} ", autoescape=True) for salt in salts]
    return remove(connection, bad_keys, and_(bad_keys.c.model == model, *stay), dry_run=False)


def set_final(connection: Connection, model: str, before: datetime) -> None:
    """Note that a recount keeps a model's counts before a time; an earlier time changes nothing."""
    known = connection.scalar(select(final.c.at).where(final.c.model == model))
    if known is None:
        connection.execute(insert(final).values(model=model, at=microseconds(before)))
    elif known < microseconds(before):
        connection.execute(update(final).where(final.c.model == model).values(at=microseconds(before)))


def is_final(table: Table) -> ColumnElement[bool] | None:
    """Return the condition for rows that a recount keeps: final counts and their arms; None if it keeps none."""
    if table is arms:
        return select(final.c.model).where(final.c.model == arms.c.model).exists()
    unit = next((each for each in LENGTHS if each in table.primary_key.columns), None)
    if unit is None:
        return None
    began = table.c[unit] * LENGTHS[unit]
    if "arm" in table.c:
        its = select(arms.c.id).join_from(arms, final, arms.c.model == final.c.model)
        return its.where(arms.c.id == table.c.arm, began < final.c.at).exists()
    return select(final.c.model).where(final.c.model == table.c.model, began < final.c.at).exists()


def _of(table: Table, model: str) -> ColumnElement[bool]:
    if "arm" in table.c:
        return table.c.arm.in_(select(arms.c.id).where(arms.c.model == model))
    return table.c.model == model
