"""Alerts; of each rule of a model one may be open."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"

OPEN = sa.text("resolved_at IS NULL")


def upgrade() -> None:
    """Add a table; what is there stays as it is."""
    op.create_table(
        "alerts",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("model", sa.String, nullable=False),
        sa.Column("rule", sa.String, nullable=False),
        sa.Column("severity", sa.String, nullable=False),
        sa.Column("summary", sa.Text, nullable=False),
        sa.Column("done", sa.Text, nullable=False),
        sa.Column("evidence", sa.Text, nullable=False),
        sa.Column("opened_at", sa.String, nullable=False),
        sa.Column("last_seen_at", sa.String, nullable=False),
        sa.Column("times", sa.Integer, nullable=False),
        sa.Column("resolved_at", sa.String),
        sa.Column("resolution", sa.Text, nullable=False),
    )
    op.create_index(
        "one_open_alert_per_rule",
        "alerts",
        ["model", "rule"],
        unique=True,
        sqlite_where=OPEN,
        postgresql_where=OPEN,
    )
