"""All tables of the registry, the rollouts, the alerts and the reports."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

RUNNING = sa.text("phase IN ('shadow', 'canary', 'watch')")
OPEN = sa.text("resolved_at IS NULL")


def upgrade() -> None:
    """Make the tables, and the triggers that refuse changes of events."""
    op.create_table(
        "versions",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("model", sa.String, nullable=False),
        sa.Column("version", sa.String, nullable=False),
        sa.Column("digest", sa.String, nullable=False),
        sa.Column("stage", sa.String, nullable=False),
        sa.Column("rolled_back", sa.Boolean, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("created_at", sa.String, nullable=False),
        sa.Column("description", sa.Text, nullable=False),
        sa.Column("schema", sa.Text),
        sa.Column("card", sa.Text),
        sa.Column("baseline", sa.Text),
        sa.Column("metrics", sa.Text, nullable=False),
        sa.Column("tags", sa.Text, nullable=False),
        sa.Column("lineage", sa.Text, nullable=False),
        sa.Column("signature", sa.Text),
        sa.UniqueConstraint("model", "version"),
    )
    op.create_index("versions_of_digest", "versions", ["digest"])
    op.create_table(
        "deployments",
        sa.Column("model", sa.String, primary_key=True),
        sa.Column("epoch", sa.Integer, nullable=False),
        sa.Column("champion", sa.String),
        sa.Column("canary", sa.String),
        sa.Column("canary_weight", sa.Float, nullable=False),
        sa.Column("shadows", sa.Text, nullable=False),
        sa.Column("salt", sa.String, nullable=False),
        sa.Column("previous", sa.String),
        sa.Column("updated_at", sa.String, nullable=False),
        sa.Column("guard", sa.Text),
        sa.Column("on_hold", sa.Text),
    )
    op.create_table(
        "events",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("model", sa.String, nullable=False),
        sa.Column("version", sa.String),
        sa.Column("kind", sa.String, nullable=False),
        sa.Column("from_stage", sa.String),
        sa.Column("to_stage", sa.String),
        sa.Column("actor", sa.String, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("evidence", sa.Text, nullable=False),
        sa.Column("epoch", sa.Integer, nullable=False),
        sa.Column("at", sa.String, nullable=False),
        sa.Column("recorded_at", sa.String, nullable=False),
        sa.Column("deployment", sa.Text, nullable=False),
        sa.Column("hash", sa.String, nullable=False),
    )
    op.create_index("events_of_model", "events", ["model", "id"])
    op.create_table(
        "acknowledgements",
        sa.Column("model", sa.String, primary_key=True),
        sa.Column("process", sa.String, primary_key=True),
        sa.Column("epoch", sa.Integer, primary_key=True),
        sa.Column("at", sa.String, nullable=False),
    )
    op.create_table(
        "rollouts",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("model", sa.String, nullable=False),
        sa.Column("challenger", sa.String, nullable=False),
        sa.Column("phase", sa.String, nullable=False),
        sa.Column("body", sa.Text, nullable=False),
    )
    op.create_index(
        "one_running_rollout_per_model",
        "rollouts",
        ["model"],
        unique=True,
        sqlite_where=RUNNING,
        postgresql_where=RUNNING,
    )
    op.create_table(
        "decisions",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("rollout_id", sa.Integer, sa.ForeignKey("rollouts.id"), nullable=False),
        sa.Column("outcome", sa.String, nullable=False),
        sa.Column("recorded_at", sa.String, nullable=False),
        sa.Column("body", sa.Text, nullable=False),
    )
    op.create_index("ix_decisions_rollout_id", "decisions", ["rollout_id"])
    op.create_table(
        "catalogues",
        sa.Column("address", sa.String, primary_key=True),
        sa.Column("event", sa.Integer, nullable=False),
    )
    op.create_table(
        "cleanings",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("actor", sa.String, nullable=False),
        sa.Column("at", sa.String, nullable=False),
        sa.Column("removed", sa.Text, nullable=False),
    )
    op.create_table(
        "workers",
        sa.Column("process", sa.String, primary_key=True),
        sa.Column("seen_at", sa.String, nullable=False),
    )
    _make_alerts()
    _make_reports()
    if op.get_bind().dialect.name == "sqlite":
        _make_append_only_in_sqlite()
    else:
        _make_append_only_in_postgresql()


def _make_alerts() -> None:
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


def _make_reports() -> None:
    op.create_table(
        "reports",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("model", sa.String, nullable=False),
        sa.Column("kind", sa.String, nullable=False),
        sa.Column("start", sa.String, nullable=False),
        sa.Column("revision", sa.Integer, nullable=False),
        sa.Column("made_at", sa.String, nullable=False),
        sa.Column("champion", sa.String),
        sa.Column("verdict", sa.String, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("body", sa.Text, nullable=False),
        sa.UniqueConstraint("model", "kind", "start", "revision"),
    )


def _make_append_only_in_sqlite() -> None:
    for change in ("UPDATE", "DELETE"):
        op.execute(
            f"CREATE TRIGGER events_refuse_{change.lower()} BEFORE {change} ON events "
            "BEGIN SELECT RAISE(ABORT, 'events are append-only'); END"
        )


def _make_append_only_in_postgresql() -> None:
    op.execute(
        "CREATE FUNCTION events_refuse() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN RAISE EXCEPTION 'events are append-only'; END $$"
    )
    op.execute(
        "CREATE TRIGGER events_refuse_change BEFORE UPDATE OR DELETE ON events "
        "FOR EACH ROW EXECUTE FUNCTION events_refuse()"
    )
    op.execute(
        "CREATE TRIGGER events_refuse_truncate BEFORE TRUNCATE ON events "
        "FOR EACH STATEMENT EXECUTE FUNCTION events_refuse()"
    )
