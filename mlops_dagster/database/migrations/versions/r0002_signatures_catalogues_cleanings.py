"""Versions may be signed; catalogues (an MLflow server) know what they were told; removals of orphans are counted."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Add a column and two tables; what is there stays as it is."""
    op.add_column("versions", sa.Column("signature", sa.Text))
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
    op.create_index("versions_of_digest", "versions", ["digest"])
