"""One data plane for all tests of the protocol: each file has a model of its own."""

import signal
from collections.abc import Iterator, Mapping

import pytest
from sklearn.pipeline import Pipeline

from mlops_dagster.settings import Settings
from mlops_dagster.stores import Stores
from tests.support.serving.data_plane import ForkedServer, Models, Server

MAX_BODY_BYTES = 1_000_000


@pytest.fixture(scope="package")
def models(tmp_path_factory: pytest.TempPathFactory, estimators: Mapping[tuple[str, float], Pipeline]) -> Models:
    return Models(Stores(Settings(home=tmp_path_factory.mktemp("home")), actor="test"), estimators)


@pytest.fixture(scope="package")
def server(models: Models) -> Iterator[Server]:
    server = ForkedServer(models.stores.settings.home, MLOPS_MAX_BODY_BYTES=str(MAX_BODY_BYTES))
    yield server
    server.stop(signal.SIGKILL)
