"""The tables of the outbox: messages on their way, and the state of each channel."""

from sqlalchemy import Boolean, Column, Index, Integer, MetaData, String, Table, Text, UniqueConstraint

TABLES = MetaData()

outbox = Table(
    "outbox",
    TABLES,
    Column("id", Integer, primary_key=True),
    Column("event", Integer, nullable=False),
    Column("repeat", Integer, nullable=False),
    Column("alert", Integer),
    Column("channel", String, nullable=False),
    Column("key", String, nullable=False),
    Column("action", String, nullable=False),
    Column("message", Text, nullable=False),
    Column("enqueued_at", String, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("next_at", String, nullable=False),
    Column("leased_until", String),
    Column("unsure", Boolean, nullable=False),
    Column("state", String, nullable=False),
    Column("error", Text, nullable=False),
    Column("receipt", Text),
    Column("done_at", String),
    UniqueConstraint("event", "channel", "repeat"),
)
Index("outbox_waiting", outbox.c.channel, outbox.c.state, outbox.c.key, outbox.c.id)
Index("outbox_of_key", outbox.c.channel, outbox.c.key, outbox.c.id)
Index("outbox_of_alert", outbox.c.alert, outbox.c.channel)

channels = Table(
    "alert_channels",
    TABLES,
    Column("name", String, primary_key=True),
    Column("failing_since", String),
    Column("paused_until", String),
    Column("fault", Text, nullable=False),
    Column("told", Boolean, nullable=False),
)
