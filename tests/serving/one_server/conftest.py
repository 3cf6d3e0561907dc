"""One data plane, as it is by default, for all tests here: each has a model of its own."""

import signal
from collections.abc import Iterator, Mapping

import pytest
from sklearn.pipeline import Pipeline

from mlops_dagster.settings import Settings
from mlops_dagster.stores import Stores
from tests.support.serving.data_plane import Models, Server


@pytest.fixture(scope="package")
def models(tmp_path_factory: pytest.TempPathFactory, estimators: Mapping[tuple[str, float], Pipeline]) -> Models:
    return Models(Stores(Settings(home=tmp_path_factory.mktemp("home")), actor="test"), estimators)


@pytest.fixture(scope="package")
def server(models: Models) -> Iterator[Server]:
    server = Server(models.stores.settings.home)
    yield server
    server.stop(signal.SIGKILL)
