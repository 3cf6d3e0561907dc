"""The tables of the rollups, and how a tally is added to them."""

import hashlib
from functools import lru_cache
from sqlite3 import Connection

import numpy as np
import orjson

from mlops_dagster.predictions.records import SERVED
from mlops_dagster.predictions.tally import ArmKey, Tally
from mlops_dagster.statistics import Bins, bins_to_json

SCHEMA = """
CREATE TABLE IF NOT EXISTS cursors (spool TEXT PRIMARY KEY, number INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS arms (
    id INTEGER PRIMARY KEY, model TEXT NOT NULL, version TEXT NOT NULL, role TEXT NOT NULL, weight REAL NOT NULL,
    UNIQUE (model, version, role, weight)
);
CREATE TABLE IF NOT EXISTS minutes (
    arm INTEGER, minute INTEGER, requests INTEGER, errors INTEGER, slow INTEGER, labelled INTEGER, wrong INTEGER,
    bad_errors INTEGER, bad_slow INTEGER, bad_wrong INTEGER, first_error_at INTEGER, PRIMARY KEY (arm, minute)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS latencies (
    arm INTEGER, minute INTEGER, bucket INTEGER, n INTEGER, PRIMARY KEY (arm, minute, bucket)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS confusion (
    arm INTEGER, minute INTEGER, label TEXT, prediction TEXT, n INTEGER, PRIMARY KEY (arm, minute, label, prediction)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS cells (
    arm INTEGER, hour INTEGER, feature TEXT, bins TEXT, counts BLOB, PRIMARY KEY (arm, hour, feature, bins)
);
CREATE TABLE IF NOT EXISTS bad_keys (
    model TEXT, salt TEXT, arms TEXT, metric TEXT, key TEXT, PRIMARY KEY (model, salt, arms, metric, key)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS paired (
    model TEXT, champion TEXT, challenger TEXT, weight REAL, minute INTEGER, wins INTEGER, losses INTEGER, ties INTEGER,
    first_loss_at INTEGER, PRIMARY KEY (model, champion, challenger, minute, weight)
) WITHOUT ROWID;
CREATE VIEW IF NOT EXISTS served_arms AS SELECT * FROM arms WHERE role IN ('champion', 'canary')
"""

CELL_TYPE = np.dtype("<u4")
"""How the counts of one feature and hour are stored: 4 bytes a cell."""


def add_tally(connection: Connection, add: Tally) -> None:
    """Add the counts, within the caller's transaction."""
    arms = _arm_ids(connection, {arm for arm, _ in add.minutes})
    _keep_first_of_each_key(connection, add)
    connection.executemany(
        "INSERT INTO minutes VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET "
        "requests = requests + excluded.requests, errors = errors + excluded.errors, slow = slow + excluded.slow, "
        "labelled = labelled + excluded.labelled, wrong = wrong + excluded.wrong, "
        "bad_errors = bad_errors + excluded.bad_errors, bad_slow = bad_slow + excluded.bad_slow, "
        "bad_wrong = bad_wrong + excluded.bad_wrong, first_error_at = "
        "min(coalesce(first_error_at, excluded.first_error_at), coalesce(excluded.first_error_at, first_error_at))",
        (
            (
                arms[arm],
                minute,
                c.requests,
                c.errors,
                c.slow,
                c.labelled,
                c.wrong,
                c.bad_errors,
                c.bad_slow,
                c.bad_wrong,
                c.first_error_at,
            )
            for (arm, minute), c in add.minutes.items()
        ),
    )
    connection.executemany(
        "INSERT INTO latencies VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE SET n = n + excluded.n",
        ((arms[arm], minute, bucket, n) for (arm, minute, bucket), n in add.latencies.items()),
    )
    connection.executemany(
        "INSERT INTO confusion VALUES (?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET n = n + excluded.n",
        ((arms[arm], minute, label, prediction, n) for (arm, minute, label, prediction), n in add.confusion.items()),
    )
    connection.executemany(
        "INSERT INTO paired VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET "
        "wins = wins + excluded.wins, losses = losses + excluded.losses, ties = ties + excluded.ties, first_loss_at = "
        "min(coalesce(first_loss_at, excluded.first_loss_at), coalesce(excluded.first_loss_at, first_loss_at))",
        ((*pair, c.wins, c.losses, c.ties, c.first_loss_at) for pair, c in add.pairs.items()),
    )
    _add_cells(connection, add, arms)


def _arm_ids(connection: Connection, arms: set[ArmKey]) -> dict[ArmKey, int]:
    connection.executemany("INSERT OR IGNORE INTO arms (model, version, role, weight) VALUES (?, ?, ?, ?)", arms)
    by_key = "SELECT id FROM arms WHERE model = ? AND version = ? AND role = ? AND weight = ?"
    return {arm: connection.execute(by_key, arm).fetchone()[0] for arm in arms}


def _keep_first_of_each_key(connection: Connection, add: Tally) -> None:
    """Champion and canary share their keys; the rows of other roles are compared among themselves."""
    for arm, minute, metric, salt, key in add.bad_events:
        group = "served" if arm.role in SERVED else f"{arm.role} {arm.version}"
        is_first = connection.execute(
            "INSERT OR IGNORE INTO bad_keys VALUES (?, ?, ?, ?, ?)", (arm.model, salt, group, metric, key)
        ).rowcount
        counts = add.minutes[arm, minute]
        match metric:
            case "error":
                counts.bad_errors += is_first
            case "slow":
                counts.bad_slow += is_first
            case "wrong":
                counts.bad_wrong += is_first


def _add_cells(connection: Connection, add: Tally, arms: dict[ArmKey, int]) -> None:
    for (arm, hour, feature), (bins, counts) in add.cells.items():
        key = (arms[arm], hour, feature, _digest(bins))
        found = connection.execute(
            "SELECT counts FROM cells WHERE arm = ? AND hour = ? AND feature = ? AND bins = ?", key
        ).fetchone()
        if found:
            counts = counts + np.frombuffer(found[0], dtype=CELL_TYPE)
        connection.execute("REPLACE INTO cells VALUES (?, ?, ?, ?, ?)", (*key, counts.astype(CELL_TYPE).tobytes()))


@lru_cache(maxsize=4096)
def _digest(bins: Bins) -> str:
    return hashlib.sha256(orjson.dumps(bins_to_json(bins))).hexdigest()[:16]
