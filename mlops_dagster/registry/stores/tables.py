"""The tables of the registry, as `database.migrations` makes them.

JSON and times are stored as text, so that a row is hashed exactly as stored. A trigger refuses changes of `events`.
"""

from sqlalchemy import (
    Boolean,
    Column,
    Float,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
)

TABLES = MetaData()

versions = Table(
    "versions",
    TABLES,
    Column("id", Integer, primary_key=True),
    Column("model", String, nullable=False),
    Column("version", String, nullable=False),
    Column("digest", String, nullable=False),
    Column("stage", String, nullable=False),
    Column("rolled_back", Boolean, nullable=False),
    Column("reason", Text, nullable=False),
    Column("created_at", String, nullable=False),
    Column("description", Text, nullable=False),
    Column("schema", Text),
    Column("card", Text),
    Column("baseline", Text),
    Column("metrics", Text, nullable=False),
    Column("tags", Text, nullable=False),
    Column("lineage", Text, nullable=False),
    Column("signature", Text),
    UniqueConstraint("model", "version"),
    Index("versions_of_digest", "digest"),
)

deployments = Table(
    "deployments",
    TABLES,
    Column("model", String, primary_key=True),
    Column("epoch", Integer, nullable=False),
    Column("champion", String),
    Column("canary", String),
    Column("canary_weight", Float, nullable=False),
    Column("shadows", Text, nullable=False),
    Column("salt", String, nullable=False),
    Column("previous", String),
    Column("updated_at", String, nullable=False),
    Column("guard", Text),
    Column("on_hold", Text),
)

events = Table(
    "events",
    TABLES,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("model", String, nullable=False),
    Column("version", String),
    Column("kind", String, nullable=False),
    Column("from_stage", String),
    Column("to_stage", String),
    Column("actor", String, nullable=False),
    Column("reason", Text, nullable=False),
    Column("evidence", Text, nullable=False),
    Column("epoch", Integer, nullable=False),
    Column("at", String, nullable=False),
    Column("recorded_at", String, nullable=False),
    Column("deployment", Text, nullable=False),
    Column("hash", String, nullable=False),
)
Index("events_of_model", events.c.model, events.c.id)

acknowledgements = Table(
    "acknowledgements",
    TABLES,
    Column("model", String, primary_key=True),
    Column("process", String, primary_key=True),
    Column("epoch", Integer, primary_key=True),
    Column("at", String, nullable=False),
)

workers = Table(
    "workers",
    TABLES,
    Column("process", String, primary_key=True),
    Column("seen_at", String, nullable=False),
)
"""When each worker last said that it is there: what one acknowledged stays true when it is gone."""

catalogues = Table(
    "catalogues",
    TABLES,
    Column("address", String, primary_key=True),
    Column("event", Integer, nullable=False),
)
"""The last event that each MLflow server was sent: the event log is its outbox."""

cleanings = Table(
    "cleanings",
    TABLES,
    Column("id", Integer, primary_key=True),
    Column("actor", String, nullable=False),
    Column("at", String, nullable=False),
    Column("removed", Text, nullable=False),
)
"""The removals of orphans, with their actors. A registration that began before the last one checks its bytes again."""
