"""A worker with many models asks the database as often as one with a single model."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import Engine, event

from mlops_dagster.clock import SystemClock
from mlops_dagster.registry import Stage
from mlops_dagster.rollout import RolloutPolicy
from mlops_dagster.serving.service import Service
from mlops_dagster.settings import Settings
from mlops_dagster.stores import Stores
from tests.support.serving.data_plane import NOW, Models, eventually
from tests.support.serving.light import light_artifacts


@contextmanager
def statements() -> Iterator[list[str]]:
    """Every statement to any database during the block."""
    found: list[str] = []

    def note(_connection: object, _cursor: object, statement: str, *_more: object) -> None:
        found.append(statement)

    event.listen(Engine, "before_cursor_execute", note)
    try:
        yield found
    finally:
        event.remove(Engine, "before_cursor_execute", note)


@pytest.mark.parametrize("number", [1, 12])
def test_a_look_at_the_registry_takes_two_statements_however_many_models_there_are(tmp_path: Path, number: int) -> None:
    stores = Stores(Settings(home=tmp_path / "home"), actor="ada")
    models = Models(stores, light_artifacts(tmp_path))
    names = [f"model-{each}" for each in range(number)]
    for name in names:
        models.champion(name)
        models.canary(name, "1.1.0", 0.2)
        epoch = stores.registry.deployment(name).epoch
        stores.rollouts.start(name, "1.0.0", "1.1.0", RolloutPolicy(), epoch, NOW)
    service = Service(stores.settings, SystemClock())
    try:
        deployments = service.deployments

        def serving() -> dict[str, str | None]:
            deployments.refresh()
            return {name: deployments.get(name).deployment.canary for name in names}

        eventually(lambda: serving() == dict.fromkeys(names, "1.1.0"))
        deployments.refresh()  # acknowledged
        with statements() as made:
            deployments.refresh()
        assert len(made) == 2, made
        stores.registry.transition(stores.registry.get(names[-1], "1.1.0"), Stage.DEPRECATED)
        assert serving() == {**dict.fromkeys(names, "1.1.0"), names[-1]: None}, "a change is in force at the next look"
    finally:
        service.stop()
        stores.close()
