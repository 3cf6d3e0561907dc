"""Addition of a tally to the rollups, within the caller's transaction, on SQLite and PostgreSQL alike."""

import hashlib
from collections import Counter
from dataclasses import fields
from functools import lru_cache
from operator import attrgetter

import numpy as np
import orjson
from sqlalchemy import Connection, select

from mlops_dagster.predictions.rollups.counting.firsts import count_firsts
from mlops_dagster.predictions.rollups.counting.tally import (
    DAY,
    HOUR,
    MINUTE,
    ArmCounts,
    ArmKey,
    Outcomes,
    PairCounts,
    Tally,
)
from mlops_dagster.predictions.rollups.counting.upsert import Row, upsert
from mlops_dagster.predictions.rollups.tables import (
    CELL_TYPE,
    COARSE,
    arms,
    cells,
    confusion,
    cursors,
    days,
    hour_latencies,
    hours,
    latencies,
    minutes,
    outcomes,
    pairs,
    refused,
    shed,
)
from mlops_dagster.statistics import Bins, bins_to_json

_ARM = attrgetter(*(each.name for each in fields(ArmCounts)))
_COARSE = attrgetter(*COARSE)
_PAIR = attrgetter(*(each.name for each in fields(PairCounts)))
_OUTCOMES = attrgetter(*(each.name for each in fields(Outcomes)))


def move_cursor(connection: Connection, spool: str, seen: int, number: int) -> bool:
    """Move a spool's cursor from `seen` to `number`; return False, and do nothing, if it has moved since."""
    if cursor(connection, spool) != seen:
        return False
    connection.execute(cursors.delete().where(cursors.c.spool == spool))
    connection.execute(cursors.insert().values(spool=spool, number=number))
    return True


def knows(connection: Connection, spool: str) -> bool:
    """Return whether any entry of a spool was ever added."""
    return connection.scalar(select(cursors.c.spool).where(cursors.c.spool == spool)) is not None


def cursor(connection: Connection, spool: str) -> int:
    """Return the number of the last entry of a spool that was added; 0 for a new spool."""
    return connection.scalar(select(cursors.c.number).where(cursors.c.spool == spool)) or 0


def add_tally(connection: Connection, add: Tally) -> None:
    """Add the counts of a tally, within the caller's transaction."""
    count_firsts(connection, add)
    ids = _arm_ids(connection, add.arms())
    upsert(connection, minutes, ((ids[arm], minute, *_ARM(counts)) for (arm, minute), counts in add.minutes.items()))
    for table, length in ((hours, HOUR), (days, DAY)):
        upsert(connection, table, ((ids[arm], at, *counts) for (arm, at), counts in _coarse(add, length).items()))
    upsert(connection, latencies, ((ids[arm], *key, n) for (arm, *key), n in add.latencies.items()))
    by_hour = _hour_latencies(add).items()
    upsert(connection, hour_latencies, ((ids[arm], *key, n) for (arm, *key), n in by_hour))
    upsert(connection, confusion, ((ids[arm], *key, n) for (arm, *key), n in add.confusion.items()))
    upsert(connection, shed, ((ids[arm], minute, n) for (arm, minute), n in add.shed.items()))
    upsert(connection, refused, ((ids[arm], *key, n) for (arm, *key), n in add.refused.items()))
    upsert(connection, pairs, ((*pair, *_PAIR(counts)) for pair, counts in add.pairs.items()))
    upsert(connection, outcomes, ((*pair, label, *_OUTCOMES(n)) for (pair, label), n in add.outcomes.items()))
    _add_cells(connection, add, ids)


def _coarse(add: Tally, length: int) -> dict[tuple[ArmKey, int], list[int]]:
    """Return the counts of each arm in periods of `length` microseconds, in the order of `COARSE`."""
    found: dict[tuple[ArmKey, int], list[int]] = {}
    for (arm, minute), counts in add.minutes.items():
        key, its = (arm, minute // (length // MINUTE)), _COARSE(counts)
        found[key] = [one + other for one, other in zip(found[key], its, strict=True)] if key in found else list(its)
    return found


def _hour_latencies(add: Tally) -> Counter[tuple[ArmKey, int, int]]:
    """Return the rows of each arm by hour and bucket."""
    found: Counter[tuple[ArmKey, int, int]] = Counter()
    for (arm, minute, bucket), n in add.latencies.items():
        found[arm, minute // (HOUR // MINUTE), bucket] += n
    return found


def _arm_ids(connection: Connection, wanted: set[ArmKey]) -> dict[ArmKey, int]:
    found = _known_arms(connection, wanted)
    if missing := wanted - found.keys():
        connection.execute(arms.insert(), [arm._asdict() for arm in sorted(missing)])
        found = _known_arms(connection, wanted)
    return found


def _known_arms(connection: Connection, wanted: set[ArmKey]) -> dict[ArmKey, int]:
    query = select(arms).where(arms.c.model.in_({arm.model for arm in wanted}))
    return {ArmKey(row.model, row.version, row.role, row.weight): row.id for row in connection.execute(query)}


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
    upsert(connection, cells, rows)


@lru_cache(maxsize=4096)
def digest_of(bins: Bins) -> str:
    return _digest(orjson.dumps(bins_to_json(bins)))


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:16]
