"""How a tally is added to the rollups, within the caller's transaction, on SQLite and PostgreSQL alike."""

import hashlib
from collections import defaultdict
from collections.abc import Collection, Iterable
from dataclasses import fields
from functools import lru_cache
from operator import attrgetter

import numpy as np
import orjson
from sqlalchemy import Connection, Table, select

from mlops_dagster.predictions.rollup_tables import (
    CELL_TYPE,
    arms,
    bad_keys,
    cells,
    confusion,
    cursors,
    latencies,
    minutes,
    outcomes,
    outputs,
    pairs,
    shed,
    units,
)
from mlops_dagster.predictions.tally import (
    ArmCounts,
    ArmKey,
    ArmMinute,
    FirstOfKey,
    Outcomes,
    PairCounts,
    Tally,
    UnitLabel,
    UnitScored,
)
from mlops_dagster.predictions.units import key_unit
from mlops_dagster.statistics import Bins, bins_to_json

Row = tuple[object, ...]

_ARM = attrgetter(*(each.name for each in fields(ArmCounts)))
_PAIR = attrgetter(*(each.name for each in fields(PairCounts)))
_OUTCOMES = attrgetter(*(each.name for each in fields(Outcomes)))

_KEPT_MINUTES = 60 * 24 * 60
"""Rows that speak for a unit are kept so long: a rollout and the labels that come late for it take less."""


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
    _count_first_of_each_key(connection, add)
    _count_units(connection, add)
    _count_labels(connection, add)
    ids = _arm_ids(connection, add.arms())
    _add(connection, minutes, ((ids[arm], minute, *_ARM(counts)) for (arm, minute), counts in add.minutes.items()))
    _add(connection, latencies, ((ids[arm], *key, n) for (arm, *key), n in add.latencies.items()))
    _add(connection, outputs, ((ids[arm], *key, n) for (arm, *key), n in add.outputs.items()))
    _add(connection, confusion, ((ids[arm], *key, n) for (arm, *key), n in add.confusion.items()))
    _add(connection, shed, ((ids[arm], minute, n) for (arm, minute), n in add.shed.items()))
    _add(connection, pairs, ((*pair, *_PAIR(counts)) for pair, counts in add.pairs.items()))
    _add(connection, outcomes, ((*pair, label, *_OUTCOMES(n)) for (pair, label), n in add.outcomes.items()))
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
    if table == units.name:  # whoever speaks for a unit goes on to
        return f"{table}.{name}"
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


def _count_first_of_each_key(connection: Connection, add: Tally) -> None:
    groups: defaultdict[tuple[str, str, str], dict[str, FirstOfKey]] = defaultdict(dict)
    for event in add.first_of_key:
        groups[_model(event), event.scope, event.field].setdefault(key_unit(event.key), event)
    for group, events in groups.items():
        its = dict(zip(("model", "scope", "event"), group, strict=True))
        known = set(connection.scalars(select(bad_keys.c.key).filter_by(**its).where(bad_keys.c.key.in_(events))))
        if new := [key for key in events if key not in known]:
            connection.execute(bad_keys.insert(), [{**its, "key": key} for key in new])
        for key in new:
            add.count(events[key].at, events[key].field)


def _count_units(connection: Connection, add: Tally) -> None:
    """The first row to be predicted of a unit speaks for it from then on."""
    groups: defaultdict[tuple[str, str], dict[str, UnitScored]] = defaultdict(dict)
    for scored in add.units:
        groups[_model(scored), scored.scope].setdefault(scored.unit, scored)
    for (model, scope), first in groups.items():
        if not (known := _speakers(connection, model, scope, first)):
            _forget_old_units(connection, model, min(scored.at.minute for scored in first.values()))
        new = [scored for unit, scored in first.items() if unit not in known]
        rows = ((model, scope, each.unit, _digest(each.request.encode()), each.at.minute) for each in new)
        _add(connection, units, rows)
        for scored in new:
            add.count(scored.at, "units")


def _count_labels(connection: Connection, add: Tally) -> None:
    """A label counts if its row speaks for its unit."""
    groups: defaultdict[tuple[str, str], list[UnitLabel]] = defaultdict(list)
    for label in add.unit_labels:
        groups[_model(label.scored), label.scored.scope].append(label)
    for (model, scope), labels in groups.items():
        speakers = _speakers(connection, model, scope, {label.scored.unit for label in labels})
        for label in labels:
            if speakers.get(label.scored.unit) == _digest(label.scored.request.encode()):
                _count_label(add, label)


def _count_label(add: Tally, label: UnitLabel) -> None:
    at = label.scored.at
    if isinstance(at, ArmMinute):
        add.count(at, "unit_labels")
        if label.outcome == "wrong":
            add.count(at, "bad_wrong")
        return
    counts = add.outcomes[at, label.label]
    match label.outcome:
        case "win":
            counts.wins += 1
        case "loss":
            counts.losses += 1
            counts.first_loss_at = min(label.at, counts.first_loss_at or label.at)
        case _:
            counts.ties += 1


def _speakers(connection: Connection, model: str, scope: str, wanted: Collection[str]) -> dict[str, str]:
    """Which request speaks for each of these units, by the digest of its name."""
    its = (units.c.model == model) & (units.c.scope == scope) & units.c.unit.in_(wanted)
    return {row.unit: row.request for row in connection.execute(select(units.c.unit, units.c.request).where(its))}


def _forget_old_units(connection: Connection, model: str, minute: int) -> None:
    old = (units.c.model == model) & (units.c.minute < minute - _KEPT_MINUTES)
    connection.execute(units.delete().where(old))


def _model(event: FirstOfKey | UnitScored) -> str:
    return event.at.arm.model if isinstance(event.at, ArmMinute) else event.at.model


def forget_key(connection: Connection, model: str, key: str) -> None:
    """Know nothing of a routing key any more."""
    unit = key_unit(key)
    connection.execute(bad_keys.delete().where((bad_keys.c.model == model) & (bad_keys.c.key == unit)))
    connection.execute(units.delete().where((units.c.model == model) & units.c.unit.like(f"%.{unit}")))


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
    return hashlib.sha256(content).hexdigest()[:16]
