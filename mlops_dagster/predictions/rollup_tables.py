"""The tables of the rollups, on SQLite and PostgreSQL alike.

They are made where they are missing, and none is ever changed: a new count gets a new table (docs/decisions/0012).
"""

import numpy as np
from sqlalchemy import BigInteger, Column, Double, Integer, LargeBinary, MetaData, String, Table, UniqueConstraint

TABLES = MetaData()

cursors = Table(
    "cursors",
    TABLES,
    Column("spool", String, primary_key=True),
    Column("number", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)

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
    *(Column(name, Integer) for name in ("requests", "errors", "slow", "labelled", "wrong")),
    *(Column(name, Integer) for name in ("bad_errors", "bad_slow", "bad_wrong")),
    Column("first_error_at", BigInteger),
    sqlite_with_rowid=False,
)

latencies = Table(
    "latencies",
    TABLES,
    Column("arm", Integer, primary_key=True),
    Column("minute", BigInteger, primary_key=True),
    Column("bucket", Integer, primary_key=True),
    Column("n", Integer),
    sqlite_with_rowid=False,
)

outputs = Table(
    "outputs",
    TABLES,
    Column("arm", Integer, primary_key=True),
    Column("minute", BigInteger, primary_key=True),
    Column("prediction", String, primary_key=True),
    Column("n", Integer),
    sqlite_with_rowid=False,
)

confusion = Table(
    "confusion",
    TABLES,
    Column("arm", Integer, primary_key=True),
    Column("minute", BigInteger, primary_key=True),
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
    Column("salt", String, primary_key=True),
    Column("arms", String, primary_key=True),
    Column("metric", String, primary_key=True),
    Column("key", String, primary_key=True),
    sqlite_with_rowid=False,
)

paired = Table(
    "paired",
    TABLES,
    Column("model", String, primary_key=True),
    Column("champion", String, primary_key=True),
    Column("challenger", String, primary_key=True),
    Column("weight", Double, primary_key=True),
    Column("minute", BigInteger, primary_key=True),
    Column("wins", Integer),
    Column("losses", Integer),
    Column("ties", Integer),
    Column("first_loss_at", BigInteger),
    sqlite_with_rowid=False,
)

CELL_TYPE = np.dtype("<u4")
"""How the counts of one feature and hour are stored: 4 bytes a cell."""
