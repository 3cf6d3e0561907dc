"""Events that count once: a key's first bad event, and the row that speaks for a unit, with its label."""

from collections import defaultdict
from collections.abc import Collection, Sequence
from hashlib import blake2b
from typing import Final

from sqlalchemy import Connection, func, select

from mlops_dagster.predictions.rollups.counting.tally import (
    ArmMinute,
    FirstOfKey,
    FirstOfMinute,
    PairMinute,
    Tally,
    UnitLabel,
    UnitScored,
)
from mlops_dagster.predictions.rollups.counting.units import key_unit
from mlops_dagster.predictions.rollups.counting.upsert import upsert
from mlops_dagster.predictions.rollups.tables import bad_keys, key_minutes, units

_KEPT_MINUTES: Final = 60 * 24 * 60
"""The time for which rows that speak for a unit are kept: longer than a rollout and its late labels take."""
_KEY_MINUTES: Final = 24 * 60
"""The time for which keys of a minute are kept: spools' entries come within hours. Later ones count again."""
_AT_ONCE: Final = 10_000
"""The number of keys in one statement: SQLite takes up to 32,766 parameters."""


def count_firsts(connection: Connection, add: Tally) -> None:
    """Count events that count once for a routing key or a unit and have not been counted yet."""
    _count_first_of_each_key(connection, add)
    _count_first_of_each_minute(connection, add)
    _count_units(connection, add)
    _count_labels(connection, add)


def _count_first_of_each_key(connection: Connection, add: Tally) -> None:
    groups: defaultdict[tuple[str, str, str], dict[str, FirstOfKey]] = defaultdict(dict)
    for event in add.first_of_key:
        groups[event.at.arm.model, event.scope, event.field].setdefault(key_unit(event.key), event)
    for group, events in groups.items():
        its = dict(zip(("model", "scope", "event"), group, strict=True))
        known = set(connection.scalars(select(bad_keys.c.key).filter_by(**its).where(bad_keys.c.key.in_(events))))
        if new := [key for key in events if key not in known]:
            connection.execute(bad_keys.insert(), [{**its, "key": key} for key in new])
        for key in new:
            add.count(events[key].at, events[key].field)


def _count_first_of_each_minute(connection: Connection, add: Tally) -> None:
    """Count the first request of each key and minute, whether a version failed on it or not."""
    groups: defaultdict[PairMinute, dict[str, FirstOfMinute]] = defaultdict(dict)
    for request in add.first_of_minute:
        groups[request.at].setdefault(key_unit(request.key), request)
    table = key_minutes.c
    for at, requests in groups.items():
        its = at._asdict()
        found = select(table.key).filter_by(**its).where(table.key.in_(requests))
        known = set(connection.scalars(found))
        if new := [key for key in requests if key not in known]:
            connection.execute(key_minutes.insert(), [{**its, "key": key} for key in new])
        for key in new:
            for name in requests[key].fields:
                add.count(at, name)
    if groups:
        newest = max(at.minute for at in groups)
        old = table.model.in_({at.model for at in groups}) & (table.minute < newest - _KEY_MINUTES)
        connection.execute(key_minutes.delete().where(old))


def _count_units(connection: Connection, add: Tally) -> None:
    """Make the first answered row of each unit speak for it from then on, and count the units."""
    groups: defaultdict[str, dict[str, UnitScored]] = defaultdict(dict)
    for scored in add.answered_units:
        groups[_model(scored)].setdefault(scored.unit, scored)
    for model, first in groups.items():
        if not (known := _speakers(connection, model, first)):
            _forget_old_units(connection, model, min(scored.at.minute for scored in first.values()))
        new = [scored for unit, scored in first.items() if unit not in known]
        upsert(connection, units, ((model, each.unit, _digest(each.request), each.at.minute) for each in new))
        for scored in new:
            if isinstance(scored.at, ArmMinute) and scored.at.arm.weight < 1:
                add.count(scored.at, "units")
    for scored in _speaking(connection, add.paired_units):
        add.count(scored.at, "units")


def _count_labels(connection: Connection, add: Tally) -> None:
    """Count the labels whose row speaks for its unit."""
    speaking = {*_speaking(connection, [label.scored for label in add.unit_labels])}
    for label in add.unit_labels:
        if label.scored in speaking:
            _count_label(add, label)


def _speaking(connection: Connection, rows: Sequence[UnitScored]) -> list[UnitScored]:
    """Return those of the rows that speak for their units."""
    wanted: defaultdict[str, set[str]] = defaultdict(set)
    for row in rows:
        wanted[_model(row)].add(row.unit)
    speakers = {
        (model, unit): request
        for model, its in wanted.items()
        for unit, request in _speakers(connection, model, its).items()
    }
    return [row for row in rows if speakers.get((_model(row), row.unit)) == _digest(row.request)]


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


def _speakers(connection: Connection, model: str, wanted: Collection[str]) -> dict[str, str]:
    """Return the request that speaks for each of these units, as the digest of its name."""
    its = (units.c.model == model) & units.c.unit.in_(wanted)
    return {row.unit: row.request for row in connection.execute(select(units.c.unit, units.c.request).where(its))}


def _forget_old_units(connection: Connection, model: str, minute: int) -> None:
    old = (units.c.model == model) & (units.c.minute < minute - _KEPT_MINUTES)
    connection.execute(units.delete().where(old))


def _model(row: UnitScored) -> str:
    return row.at.arm.model if isinstance(row.at, ArmMinute) else row.at.model


def forget_keys(connection: Connection, model: str, keys: Collection[str]) -> None:
    """Delete every trace of these routing keys of a model."""
    everything = sorted(map(key_unit, keys))
    key_of_unit = func.substr(units.c.unit, func.length(units.c.unit) - len(everything[0]) + 1)
    for its in (everything[start : start + _AT_ONCE] for start in range(0, len(everything), _AT_ONCE)):
        connection.execute(key_minutes.delete().where((key_minutes.c.model == model) & key_minutes.c.key.in_(its)))
        connection.execute(bad_keys.delete().where((bad_keys.c.model == model) & bad_keys.c.key.in_(its)))
        connection.execute(units.delete().where((units.c.model == model) & key_of_unit.in_(its)))


def _digest(request: str) -> str:
    """Return a short digest for the name of a request, which may be of any length."""
    return blake2b(request.encode(), digest_size=8).hexdigest()
