"""New SQLite databases of the registry, made by the statements that Alembic has run once in this process."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from importlib import import_module

import pytest
from sqlalchemy import Connection, create_engine, text

from mlops_dagster.database.migrate import HEAD, VERSION_TABLE, revision_of
from mlops_dagster.database.migrate import upgrade as _upgrade


@cache
def _statements() -> list[str]:
    with create_engine("sqlite://").begin() as memory:
        _upgrade(memory)
        made = memory.execute(text("SELECT sql FROM sqlite_master WHERE sql IS NOT NULL"))
        return [*made.scalars(), f"INSERT INTO {VERSION_TABLE} VALUES ('{HEAD}')"]  # noqa: S608  # ours


@contextmanager
def alembic_runs_once() -> Iterator[None]:
    """Make new databases in 2 ms in place of 20; any other migration is Alembic's."""
    module = import_module("mlops_dagster.database.migrate")  # the package has a function of that name

    def upgrade(connection: Connection, to: str = HEAD) -> None:
        if connection.dialect.name != "sqlite" or to != HEAD or revision_of(connection) is not None:
            _upgrade(connection, to)
            return
        for statement in _statements():
            connection.exec_driver_sql(statement)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "upgrade", upgrade)
        yield
