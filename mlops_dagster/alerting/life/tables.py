"""The tables of alerts, of the events of their lives, and of silences."""

from sqlalchemy import Boolean, Column, Index, Integer, MetaData, String, Table, Text

TABLES = MetaData()

alerts = Table(
    "alerts",
    TABLES,
    Column("id", Integer, primary_key=True),
    Column("key", String, nullable=False),
    Column("model", String, nullable=False),
    Column("rule", String, nullable=False),
    Column("subject", String, nullable=False),
    Column("version", String),
    Column("severity", String, nullable=False),
    Column("summary", Text, nullable=False),
    Column("reading", Text),
    Column("since", String),
    Column("done", Text, nullable=False),
    Column("acted", Text),
    Column("evidence", Text, nullable=False),
    Column("opened_at", String, nullable=False),
    Column("last_seen_at", String, nullable=False),
    Column("times", Integer, nullable=False),
    Column("flaps", Integer, nullable=False),
    Column("acknowledged", Text),
    Column("muted_by", String),
    Column("told", Boolean, nullable=False),
    Column("resolved_at", String),
    Column("resolution", Text, nullable=False),
)
IS_OPEN = alerts.c.resolved_at.is_(None)
Index(
    "one_open_alert_per_subject",
    alerts.c.model,
    alerts.c.rule,
    alerts.c.subject,
    unique=True,
    sqlite_where=IS_OPEN,
    postgresql_where=IS_OPEN,
)
Index("alerts_of_subject", alerts.c.model, alerts.c.rule, alerts.c.subject, alerts.c.opened_at)

events = Table(
    "alert_events",
    TABLES,
    Column("id", Integer, primary_key=True),
    Column("alert_id", Integer),
    Column("model", String, nullable=False),
    Column("rule", String, nullable=False),
    Column("subject", String, nullable=False),
    Column("version", String),
    Column("kind", String, nullable=False),
    Column("severity", String, nullable=False),
    Column("summary", Text, nullable=False),
    Column("done", Text, nullable=False),
    Column("evidence", Text, nullable=False),
    Column("actor", String, nullable=False),
    Column("at", String, nullable=False),
    Column("recorded_at", String, nullable=False),
    Column("alert", Text),
)
Index("alert_events_of_model", events.c.model, events.c.id)
Index("alert_events_of_alert", events.c.alert_id, events.c.id)

silences = Table(
    "silences",
    TABLES,
    Column("id", Integer, primary_key=True),
    Column("model", String, nullable=False),
    Column("rule", String, nullable=False),
    Column("severity", String, nullable=False),
    Column("version", String, nullable=False),
    Column("starts_at", String, nullable=False),
    Column("ends_at", String, nullable=False),
    Column("actor", String, nullable=False),
    Column("reason", Text, nullable=False),
    Column("ended_at", String),
    Column("ended_by", String),
    Column("end_reason", Text),
)

followed = Table(
    "followed",
    TABLES,
    Column("source", String, primary_key=True),
    Column("position", Integer, nullable=False),
)
