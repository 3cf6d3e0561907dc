"""Workers say that they are there."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Add a table."""
    op.create_table(
        "workers",
        sa.Column("process", sa.String, primary_key=True),
        sa.Column("seen_at", sa.String, nullable=False),
        if_not_exists=True,
    )
