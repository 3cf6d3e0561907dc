"""Databases with tables, as copies: making them takes longer than most tests."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.channels.world import World, sqlite, world_on


@pytest.fixture(scope="session")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database with its tables and nothing in them."""
    folder = tmp_path_factory.mktemp("empty")
    with pytest.MonkeyPatch.context() as environment:
        World(sqlite(folder), environment).close()
    return folder / "mlops.sqlite"


@pytest.fixture
def world(empty: Path) -> Iterator[World]:
    with world_on(empty) as made:
        yield made
