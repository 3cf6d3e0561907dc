"""Parts of the queries of the rollups' tables."""

import operator
from collections.abc import Mapping, Sequence
from datetime import datetime
from itertools import accumulate
from typing import Any, TypeAlias, TypeVar

from sqlalchemy import ColumnElement, Select, Table, case, func, literal, select

from mlops_dagster.predictions.records import SERVED, microseconds
from mlops_dagster.predictions.rollups.counting.tally import HOUR, MINUTE
from mlops_dagster.predictions.rollups.counts import BothScored, EventCounts, PairedCounts
from mlops_dagster.predictions.rollups.tables import arms

_Any: TypeAlias = tuple[Any, ...]  # the query determines a row's columns
_Sum = TypeVar("_Sum", EventCounts, PairedCounts, BothScored)


def of_arms(table: Table, *columns: ColumnElement[Any]) -> Select[*_Any]:
    """Return a query for columns of a table joined with its arms."""
    return select(*columns).join_from(arms, table, arms.c.id == table.c.arm)


def summed(
    table: Table, keys: Sequence[ColumnElement[Any]], model: str, version: str | None, since: datetime, until: datetime
) -> Select[*_Any]:
    """Return a query for the counts `n` by these keys, of rows that the split served."""
    return (
        of_arms(table, *keys, func.sum(table.c.n))
        .where(served(model, None if version is None else [version]), within(table, since, until))
        .group_by(*keys)
    )


def served(model: str, versions: Sequence[str] | None) -> ColumnElement[bool]:
    """Return the condition for rows that the split served, of these versions or of all."""
    served = (arms.c.model == model) & arms.c.role.in_(SERVED)
    return served if versions is None else served & arms.c.version.in_(versions)


def within(table: Table, since: datetime, until: datetime) -> ColumnElement[bool]:
    """Return the condition for rows of `table` whose minute (hour, if it counts by the hour) [since, until) touches."""
    if "hour" in table.c:
        return table.c.hour.between(*_window(since, until, HOUR))
    return table.c.minute.between(*_window(since, until, MINUTE))


def sum_of(table: Table, name: str) -> ColumnElement[int]:
    """Return the sum of a column, which is 0 without rows."""
    return func.coalesce(func.sum(table.c[name]), 0)


def span_of(table: Table, starts: Sequence[datetime]) -> ColumnElement[int]:
    """Return the index of the last start before a row, as `span`; old starts are tried first, as most rows are old."""
    firsts = [microseconds(start) // MINUTE for start in starts]
    spans = [(table.c.minute < after, number) for number, after in enumerate(firsts[1:])]
    return (case(*spans, else_=len(spans)) if spans else literal(0)).label("span")


def added_up(spans: Mapping[int, _Sum], count: int, nothing: _Sum) -> list[_Sum]:
    """Return, for each of `count` starts, the sum of its span and of all later ones."""
    newest_first = (spans.get(number, nothing) for number in reversed(range(count)))
    return list(accumulate(newest_first, operator.add))[::-1]


def _window(since: datetime, until: datetime, unit: int) -> tuple[int, int]:
    """Return the first and last unit that [since, until) touches."""
    return microseconds(since) // unit, (microseconds(until) - 1) // unit
