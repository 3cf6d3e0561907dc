"""Alembic's environment: runs our revisions inside the transaction that `migrate` has opened."""

from alembic import context

from mlops_dagster.database.migrate import VERSION_TABLE

context.configure(connection=context.config.attributes["connection"], version_table=VERSION_TABLE)
with context.begin_transaction():
    context.run_migrations()
