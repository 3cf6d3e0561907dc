"""Tables of the rollups, on SQLite and PostgreSQL alike.

A missing table is created, and no table is ever changed: a new count gets a new table (docs/decisions/0012).
"""

import numpy as np
from sqlalchemy import (
    BigInteger,
    Column,
    Double,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    UniqueConstraint,
)

TABLES = MetaData()

cursors = Table(
    "cursors",
    TABLES,
    Column("spool", String, primary_key=True),
    Column("number", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)

heartbeats = Table(
    "heartbeats",
    TABLES,
    Column("spool", String, primary_key=True),
    Column("home", String, nullable=False),
    Column("number", BigInteger, nullable=False),
    Column("heard_at", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)

heartbeat_processes = Table(
    "heartbeat_processes",
    TABLES,
    Column("spool", String, primary_key=True),
    Column("process", String, primary_key=True),
    Column("model", String, primary_key=True),
    *(Column(name, BigInteger, nullable=False) for name in ("sequence", "answered", "shipped")),
    sqlite_with_rowid=False,
)

final = Table(
    "final",
    TABLES,
    Column("model", String, primary_key=True),
    Column("at", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)
"""The time before which a model's counts are final, as the log has no rows of then any more, in microseconds."""

HEARTBEATS = (heartbeats, heartbeat_processes)
"""Heartbeats, which a recount keeps: they are not counts, and those of a lost spool would not be written again."""

arms = Table(
    "arms",
    TABLES,
    Column("id", Integer, primary_key=True),
    Column("model", String, nullable=False),
    Column("version", String, nullable=False),
    Column("role", String, nullable=False),
    Column("weight", Double, nullable=False),
    UniqueConstraint("model", "version", "role", "weight"),
)

minutes = Table(
    "minutes",
    TABLES,
    Column("arm", Integer, primary_key=True),
    Column("minute", BigInteger, primary_key=True),
    *(Column(name, Integer) for name in ("requests", "errors", "slow", "bad_errors", "bad_slow")),
    *(Column(name, Integer) for name in ("rows", "failed_rows", "labelled", "wrong")),
    *(Column(name, Integer) for name in ("units", "unit_labels", "bad_wrong")),
    Column("first_error_at", BigInteger),
    sqlite_with_rowid=False,
)

KEPT = (*HEARTBEATS, final)
"""Tables that a recount leaves as they are."""

COARSE = ("requests", "errors", "slow", "rows", "failed_rows", "labelled", "wrong")
# The same by the hour and by the day: a month of a thousand models is too many minutes to add up for a page.
hours, days = (
    Table(
        f"{unit}s",
        TABLES,
        Column("arm", Integer, primary_key=True),
        Column(unit, BigInteger, primary_key=True),
        *(Column(name, Integer) for name in COARSE),
        sqlite_with_rowid=False,
    )
    for unit in ("hour", "day")
)

latencies, hour_latencies = (
    Table(
        name,
        TABLES,
        Column("arm", Integer, primary_key=True),
        Column(unit, BigInteger, primary_key=True),
        Column("bucket", Integer, primary_key=True),
        Column("n", Integer),
        sqlite_with_rowid=False,
    )
    for name, unit in (("latencies", "minute"), ("hour_latencies", "hour"))
)

# By the hour: of 1,000 classes a minute has about as many different pairs as it has rows.
confusion = Table(
    "confusion",
    TABLES,
    Column("arm", Integer, primary_key=True),
    Column("hour", BigInteger, primary_key=True),
    Column("label", String, primary_key=True),
    Column("prediction", String, primary_key=True),
    Column("n", Integer),
    sqlite_with_rowid=False,
)

shed = Table(
    "shed",
    TABLES,
    Column("arm", Integer, primary_key=True),
    Column("minute", BigInteger, primary_key=True),
    Column("n", Integer),
    sqlite_with_rowid=False,
)

# Of requests that no version scored: rejected for a mistake of the client, or held.
refused = Table(
    "refused",
    TABLES,
    Column("arm", Integer, primary_key=True),
    Column("minute", BigInteger, primary_key=True),
    Column("status", String, primary_key=True),
    Column("code", String, primary_key=True),
    Column("n", Integer),
    sqlite_with_rowid=False,
)

cells = Table(
    "cells",
    TABLES,
    Column("arm", Integer, primary_key=True),
    Column("hour", BigInteger, primary_key=True),
    Column("feature", String, primary_key=True),
    Column("bins", String, primary_key=True),
    Column("counts", LargeBinary),
)

bad_keys = Table(
    "bad_keys",
    TABLES,
    Column("model", String, primary_key=True),
    Column("scope", String, primary_key=True),
    Column("event", String, primary_key=True),
    Column("key", String, primary_key=True),
    sqlite_with_rowid=False,
)

key_minutes = Table(
    "key_minutes",
    TABLES,
    Column("model", String, primary_key=True),
    Column("champion", String, primary_key=True),
    Column("challenger", String, primary_key=True),
    Column("minute", BigInteger, primary_key=True),
    Column("key", String, primary_key=True),
    sqlite_with_rowid=False,
)

units = Table(
    "units",
    TABLES,
    Column("model", String, primary_key=True),
    Column("unit", String, primary_key=True),
    Column("request", String, nullable=False),
    Column("minute", BigInteger, nullable=False),
    Index("units_by_minute", "model", "minute"),  # old ones are looked for in each round
    sqlite_with_rowid=False,
)

pairs = Table(
    "pairs",
    TABLES,
    Column("model", String, primary_key=True),
    Column("champion", String, primary_key=True),
    Column("challenger", String, primary_key=True),
    Column("minute", BigInteger, primary_key=True),
    *(Column(name, Integer) for name in ("requests", "challenger_failed", "champion_failed", "both_failed", "units")),
    sqlite_with_rowid=False,
)

outcomes = Table(
    "outcomes",
    TABLES,
    Column("model", String, primary_key=True),
    Column("champion", String, primary_key=True),
    Column("challenger", String, primary_key=True),
    Column("minute", BigInteger, primary_key=True),
    Column("label", String, primary_key=True),
    *(Column(name, Integer) for name in ("wins", "losses", "ties")),
    Column("first_loss_at", BigInteger),
    sqlite_with_rowid=False,
)

CELL_TYPE = np.dtype("<u4")
"""Storage of the counts of one feature and hour: 4 bytes a bin."""
