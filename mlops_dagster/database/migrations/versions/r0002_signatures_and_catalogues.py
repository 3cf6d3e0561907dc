"""Versions may be signed; catalogues (an MLflow server) say up to which event they have been told."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Add one column and one table; what is there stays as it is."""
    op.add_column("versions", sa.Column("signature", sa.Text))
    op.create_table(
        "catalogues",
        sa.Column("address", sa.String, primary_key=True),
        sa.Column("event", sa.Integer, nullable=False),
    )
    op.create_index("versions_of_digest", "versions", ["digest"])
