"""A rollout goes on after the promotion: one in the watch is running too, and a model has one at a time."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

RUNNING = sa.text("phase IN ('shadow', 'canary', 'watch')")


def upgrade() -> None:
    """Make the index anew; what is there stays as it is."""
    op.drop_index("one_running_rollout_per_model", "rollouts")
    op.create_index(
        "one_running_rollout_per_model",
        "rollouts",
        ["model"],
        unique=True,
        sqlite_where=RUNNING,
        postgresql_where=RUNNING,
    )
