"""One `dagster dev` for all tests here, because it takes 10 s of CPU to start: each has a model of its own."""

from collections.abc import Iterator

import pytest

from mlops_dagster.registry import Stage
from mlops_dagster.settings import Settings
from mlops_dagster.stores import Stores
from tests.support.components.orchestrated import Orchestrator, dagster_dev
from tests.support.components.two_models import FILES, RETRAINED, WATCHED, register


@pytest.fixture(scope="package")
def stores(tmp_path_factory: pytest.TempPathFactory) -> Stores:
    """With champions that take any carrier."""
    stores = Stores(Settings(home=tmp_path_factory.mktemp("home")), actor="test")
    for model in (WATCHED, RETRAINED):
        stores.registry.transition(register(stores, model, "1.0.0", unknown="ignore"), Stage.PRODUCTION)
    return stores


@pytest.fixture(scope="package")
def orchestrator(stores: Stores, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Orchestrator]:
    with dagster_dev(tmp_path_factory.mktemp("project"), stores.settings.home, FILES) as orchestrator:
        yield orchestrator
