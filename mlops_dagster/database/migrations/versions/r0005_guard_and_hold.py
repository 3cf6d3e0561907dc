"""A deployment says how its requests are guarded, and whether it is on hold."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Add two columns; what is there has the guard that is the default, and is not on hold."""
    op.add_column("deployments", sa.Column("guard", sa.Text))
    op.add_column("deployments", sa.Column("on_hold", sa.Text))
