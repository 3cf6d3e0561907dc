"""All tables of the registry, the tokens, the rollouts, the alerts with their outbox, the reports, and retention."""

import sqlalchemy as sa
from alembic import op

from mlops_dagster.database.alert_tables import make_alerts, make_beats, make_outbox

revision = "0001"
down_revision = None

RUNNING = sa.text("phase IN ('shadow', 'canary', 'watch')")
APPEND_ONLY = ("events", "alert_events")
# Retention notes in `kept` from when on events are whole before it deletes any; sightings go with counts by the minute.
EXPIRED = (
    "OLD.at < (SELECT max(since) FROM kept WHERE model = OLD.model "
    "AND (kind = 'alerts' OR (kind = 'minute_counts' AND OLD.kind = 'seen')))"
)


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
    make_alerts()
    make_beats()
    _make_tokens()
    make_outbox()
    _make_reports()
    _make_retention()
    if op.get_bind().dialect.name == "sqlite":
        _make_append_only_in_sqlite()
    else:
        _make_append_only_in_postgresql()


def _make_tokens() -> None:
    op.create_table(
        "tokens",
        sa.Column("sha256", sa.String, primary_key=True),
        sa.Column("name", sa.String, nullable=False),
        sa.Column("scopes", sa.Text, nullable=False),
        sa.Column("created_at", sa.String, nullable=False),
        sa.Column("created_by", sa.String, nullable=False),
        sa.Column("revoked_at", sa.String),
        sa.Column("revoked_by", sa.String),
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


def _make_retention() -> None:
    op.create_table(
        "kept",
        sa.Column("model", sa.String, primary_key=True),
        sa.Column("kind", sa.String, primary_key=True),
        sa.Column("since", sa.String, nullable=False),
    )
    op.create_table(
        "retentions",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("at", sa.String, nullable=False),
        sa.Column("actor", sa.String, nullable=False),
        sa.Column("kind", sa.String, nullable=False),
        sa.Column("models", sa.Integer, nullable=False),
        sa.Column("removed", sa.Integer, nullable=False),
    )


def _make_append_only_in_sqlite() -> None:
    for table in APPEND_ONLY:
        for change in ("UPDATE", "DELETE"):
            but = f"WHEN ({EXPIRED}) IS NOT TRUE " if (table, change) == ("alert_events", "DELETE") else ""
            op.execute(
                f"CREATE TRIGGER {table}_refuse_{change.lower()} BEFORE {change} ON {table} {but}"
                f"BEGIN SELECT RAISE(ABORT, '{table} are append-only'); END"
            )


def _make_append_only_in_postgresql() -> None:
    expired = (
        f"IF TG_TABLE_NAME = 'alert_events' AND TG_OP = 'DELETE' THEN IF {EXPIRED} THEN RETURN OLD; END IF; END IF;"
    )
    op.execute(
        "CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS "
        f"$$ BEGIN {expired} RAISE EXCEPTION '% are append-only', TG_TABLE_NAME; END $$"
    )
    for table in APPEND_ONLY:
        op.execute(
            f"CREATE TRIGGER {table}_refuse_change BEFORE UPDATE OR DELETE ON {table} "
            "FOR EACH ROW EXECUTE FUNCTION refuse_change()"
        )
        op.execute(
            f"CREATE TRIGGER {table}_refuse_truncate BEFORE TRUNCATE ON {table} "
            "FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()"
        )
