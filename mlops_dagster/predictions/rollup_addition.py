"""How a tally is added to the rollups, within the caller's transaction, on SQLite and PostgreSQL alike."""

import hashlib
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import fields
from functools import lru_cache
from operator import attrgetter

import numpy as np
import orjson
from sqlalchemy import Connection, Table, select

from mlops_dagster.predictions.records import SERVED
from mlops_dagster.predictions.rollup_tables import (
    CELL_TYPE,
    arms,
    bad_keys,
    cells,
    confusion,
    cursors,
    latencies,
    minutes,
    outputs,
    paired,
    shed,
)
from mlops_dagster.predictions.tally import ArmKey, BadEvent, MinuteCounts, PairMinute, Tally
from mlops_dagster.statistics import Bins, bins_to_json

Row = tuple[object, ...]

_MINUTE = attrgetter(*(each.name for each in fields(MinuteCounts)))
_PAIR = attrgetter(*(each.name for each in fields(PairMinute)))


def move_cursor(connection: Connection, spool: str, seen: int, number: int) -> bool:
    """Move a spool's cursor on, unless it has moved since it was seen."""
    if cursor(connection, spool) != seen:
        return False
    connection.execute(cursors.delete().where(cursors.c.spool == spool))
    connection.execute(cursors.insert().values(spool=spool, number=number))
    return True


def cursor(connection: Connection, spool: str) -> int:
    """The last entry of a spool that was added; 0 of a new one."""
    return connection.scalar(select(cursors.c.number).where(cursors.c.spool == spool)) or 0


def add_tally(connection: Connection, add: Tally) -> None:
    """Add the counts, within the caller's transaction."""
    ids = _arm_ids(connection, add.arms())
    _keep_first_of_each_key(connection, add)
    _add(connection, minutes, ((ids[arm], minute, *_MINUTE(counts)) for (arm, minute), counts in add.minutes.items()))
    _add(connection, latencies, ((ids[arm], *key, n) for (arm, *key), n in add.latencies.items()))
    _add(connection, outputs, ((ids[arm], *key, n) for (arm, *key), n in add.outputs.items()))
    _add(connection, confusion, ((ids[arm], *key, n) for (arm, *key), n in add.confusion.items()))
    _add(connection, shed, ((ids[arm], minute, n) for (arm, minute), n in add.shed.items()))
    _add(connection, paired, ((*pair, *_PAIR(counts)) for pair, counts in add.pairs.items()))
    _add_cells(connection, add, ids)


def _add(connection: Connection, table: Table, rows: Iterable[Row]) -> None:
    if values := list(rows):
        # To the driver itself: SQLAlchemy takes longer over the parameters than SQLite over the statements.
        connection.exec_driver_sql(_addition(table, "?" if connection.dialect.name == "sqlite" else "%s"), values)


@lru_cache
def _addition(table: Table, mark: str) -> str:
    """Insert a row, or add it to the one of its key: of first times the earlier stays, all else adds up."""
    names = table.columns.keys()
    keys = table.primary_key.columns.keys()
    changes = ", ".join(f"{name} = {_merged(table.name, name)}" for name in names if name not in keys)
    row = f"({', '.join(names)}) VALUES ({', '.join(mark for _ in names)})"
    return f"INSERT INTO {table.name} {row} ON CONFLICT ({', '.join(keys)}) DO UPDATE SET {changes}"


def _merged(table: str, name: str) -> str:
    if table == cells.name:  # added up already: no database knows how
        return f"excluded.{name}"
    if not name.startswith("first_"):
        return f"{table}.{name} + excluded.{name}"
    # SQLite and PostgreSQL have no function in common for the lesser of two, one of which may be NULL.
    known, added = f"{table}.{name}", f"excluded.{name}"
    return f"coalesce(CASE WHEN {added} < {known} THEN {added} ELSE {known} END, {added})"


def _arm_ids(connection: Connection, wanted: set[ArmKey]) -> dict[ArmKey, int]:
    found = _known_arms(connection, wanted)
    if missing := wanted - found.keys():
        connection.execute(arms.insert(), [arm._asdict() for arm in sorted(missing)])
        found = _known_arms(connection, wanted)
    return found


def _known_arms(connection: Connection, wanted: set[ArmKey]) -> dict[ArmKey, int]:
    query = select(arms).where(arms.c.model.in_({arm.model for arm in wanted}))
    return {ArmKey(row.model, row.version, row.role, row.weight): row.id for row in connection.execute(query)}


def _keep_first_of_each_key(connection: Connection, add: Tally) -> None:
    """Champion and canary share their keys; the rows of other roles are compared among themselves."""
    groups: defaultdict[Row, dict[str, BadEvent]] = defaultdict(dict)
    for event in add.bad_events:
        arm = event.arm
        among = "served" if arm.role in SERVED else f"{arm.role} {arm.version}"
        groups[arm.model, event.salt, among, event.metric].setdefault(_digest(event.key.encode()), event)
    for group, events in groups.items():
        key = dict(zip(("model", "salt", "arms", "metric"), group, strict=True))
        query = select(bad_keys.c.key).filter_by(**key).where(bad_keys.c.key.in_(events))
        new = events.keys() - set(connection.scalars(query))
        if new:
            connection.execute(bad_keys.insert(), [{**key, "key": each} for each in new])
        for event in (events[each] for each in new):
            counts = add.minutes[event.arm, event.minute]
            match event.metric:
                case "error":
                    counts.bad_errors += 1
                case "slow":
                    counts.bad_slow += 1
                case "wrong":
                    counts.bad_wrong += 1


def forget_key(connection: Connection, model: str, key: str) -> None:
    """Know nothing of a routing key any more."""
    its = (bad_keys.c.model == model) & (bad_keys.c.key == _digest(key.encode()))
    connection.execute(bad_keys.delete().where(its))


def _add_cells(connection: Connection, add: Tally, ids: dict[ArmKey, int]) -> None:
    if not add.cells:
        return
    in_question = cells.c.arm.in_({ids[key.arm] for key in add.cells}) & cells.c.hour.in_({k.hour for k in add.cells})
    known: dict[Row, bytes] = {
        tuple(key): counts for *key, counts in connection.execute(select(cells).where(in_question))
    }
    rows = []
    for (arm, hour, feature), (bins, counts) in add.cells.items():
        key = (ids[arm], hour, feature, digest_of(bins))
        if key in known:
            counts = counts + np.frombuffer(known[key], dtype=CELL_TYPE)
        rows.append((*key, counts.astype(CELL_TYPE).tobytes()))
    _add(connection, cells, rows)


@lru_cache(maxsize=4096)
def digest_of(bins: Bins) -> str:
    return _digest(orjson.dumps(bins_to_json(bins)))


def _digest(content: bytes) -> str:
    """Of routing keys too: they may be of any length, and say who somebody is."""
    return hashlib.sha256(content).hexdigest()[:16]
