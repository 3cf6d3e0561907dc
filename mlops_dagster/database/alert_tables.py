"""The tables of alerts and of their outbox, for the first revision of the database."""

import sqlalchemy as sa
from alembic import op

OPEN = sa.text("resolved_at IS NULL")


def make_alerts() -> None:
    """Make the tables of alerts, their events, silences and watches."""
    op.create_table(
        "alerts",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("key", sa.String, nullable=False),
        sa.Column("model", sa.String, nullable=False),
        sa.Column("rule", sa.String, nullable=False),
        sa.Column("subject", sa.String, nullable=False),
        sa.Column("version", sa.String),
        sa.Column("severity", sa.String, nullable=False),
        sa.Column("summary", sa.Text, nullable=False),
        sa.Column("reading", sa.Text),
        sa.Column("since", sa.String),
        sa.Column("done", sa.Text, nullable=False),
        sa.Column("acted", sa.Text),
        sa.Column("evidence", sa.Text, nullable=False),
        sa.Column("opened_at", sa.String, nullable=False),
        sa.Column("last_seen_at", sa.String, nullable=False),
        sa.Column("times", sa.Integer, nullable=False),
        sa.Column("flaps", sa.Integer, nullable=False),
        sa.Column("acknowledged", sa.Text),
        sa.Column("muted_by", sa.String),
        sa.Column("told", sa.Boolean, nullable=False),
        sa.Column("resolved_at", sa.String),
        sa.Column("resolution", sa.Text, nullable=False),
    )
    op.create_index(
        "one_open_alert_per_subject",
        "alerts",
        ["model", "rule", "subject"],
        unique=True,
        sqlite_where=OPEN,
        postgresql_where=OPEN,
    )
    op.create_index("alerts_of_subject", "alerts", ["model", "rule", "subject", "opened_at"])
    op.create_table(
        "alert_events",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("alert_id", sa.Integer),
        sa.Column("model", sa.String, nullable=False),
        sa.Column("rule", sa.String, nullable=False),
        sa.Column("subject", sa.String, nullable=False),
        sa.Column("version", sa.String),
        sa.Column("kind", sa.String, nullable=False),
        sa.Column("severity", sa.String, nullable=False),
        sa.Column("summary", sa.Text, nullable=False),
        sa.Column("done", sa.Text, nullable=False),
        sa.Column("evidence", sa.Text, nullable=False),
        sa.Column("actor", sa.String, nullable=False),
        sa.Column("at", sa.String, nullable=False),
        sa.Column("recorded_at", sa.String, nullable=False),
        sa.Column("alert", sa.Text),
    )
    op.create_index("alert_events_of_model", "alert_events", ["model", "id"])
    op.create_index("alert_events_of_alert", "alert_events", ["alert_id", "id"])
    op.create_table(
        "silences",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("model", sa.String, nullable=False),
        sa.Column("rule", sa.String, nullable=False),
        sa.Column("severity", sa.String, nullable=False),
        sa.Column("version", sa.String, nullable=False),
        sa.Column("starts_at", sa.String, nullable=False),
        sa.Column("ends_at", sa.String, nullable=False),
        sa.Column("actor", sa.String, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("ended_at", sa.String),
        sa.Column("ended_by", sa.String),
        sa.Column("end_reason", sa.Text),
    )
    op.create_table(
        "followed",
        sa.Column("source", sa.String, primary_key=True),
        sa.Column("position", sa.Integer, nullable=False),
    )
    op.create_table(
        "watches",
        sa.Column("model", sa.String, primary_key=True),
        sa.Column("rule", sa.String, primary_key=True),
        sa.Column("body", sa.Text, nullable=False),
    )


def make_beats() -> None:
    """Make the table of beats."""
    op.create_table(
        "beats",
        sa.Column("name", sa.String, primary_key=True),
        sa.Column("model", sa.String, primary_key=True),
        sa.Column("at", sa.String, nullable=False),
        sa.Column("seconds", sa.Double, nullable=False),
        sa.Column("note", sa.Text, nullable=False),
    )


def make_outbox() -> None:
    """Make the tables of messages and their channels."""
    op.create_table(
        "outbox",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("event", sa.Integer, nullable=False),
        sa.Column("repeat", sa.Integer, nullable=False),
        sa.Column("alert", sa.Integer),
        sa.Column("channel", sa.String, nullable=False),
        sa.Column("key", sa.String, nullable=False),
        sa.Column("action", sa.String, nullable=False),
        sa.Column("message", sa.Text, nullable=False),
        sa.Column("enqueued_at", sa.String, nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("next_at", sa.String, nullable=False),
        sa.Column("leased_until", sa.String),
        sa.Column("unsure", sa.Boolean, nullable=False),
        sa.Column("state", sa.String, nullable=False),
        sa.Column("error", sa.Text, nullable=False),
        sa.Column("receipt", sa.Text),
        sa.Column("done_at", sa.String),
        sa.UniqueConstraint("event", "channel", "repeat"),
    )
    op.create_index("outbox_waiting", "outbox", ["channel", "state", "key", "id"])
    op.create_index("outbox_of_key", "outbox", ["channel", "key", "id"])
    op.create_index("outbox_of_alert", "outbox", ["alert", "channel"])
    op.create_table(
        "alert_channels",
        sa.Column("name", sa.String, primary_key=True),
        sa.Column("failing_since", sa.String),
        sa.Column("paused_until", sa.String),
        sa.Column("fault", sa.Text, nullable=False),
        sa.Column("told", sa.Boolean, nullable=False),
    )
