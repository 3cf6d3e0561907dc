"""A home with models in it, and real data planes over it."""

import signal
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest
from sklearn.pipeline import Pipeline
from sqlalchemy import make_url

from mlops_dagster.settings import Settings
from mlops_dagster.stores import Stores
from tests.support.proxy import Proxy
from tests.support.serving.data_plane import SCHEMA, WIDER, ForkedServer, Models, Server, make_estimator
from tests.support.serving.light import light_artifacts


@pytest.fixture
def proxy(postgresql_server: str) -> Iterator[Proxy]:
    with Proxy(Path(str(make_url(postgresql_server).query["host"]), ".s.PGSQL.5432")) as proxy:
        yield proxy


@pytest.fixture(scope="session")
def estimators() -> Mapping[tuple[str, float], Pipeline]:
    return {
        (SCHEMA.digest, 15.0): make_estimator(SCHEMA),
        (SCHEMA.digest, 30.0): make_estimator(SCHEMA, 30.0),
        (WIDER.digest, 15.0): make_estimator(WIDER),
    }


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Models:
    """Of versions that are loaded in a fraction of a second."""
    folder = tmp_path_factory.mktemp("light")
    return Models(Stores(Settings(home=folder / "home"), actor="test"), light_artifacts(folder))


@pytest.fixture(scope="module")
def sklearn_models(
    tmp_path_factory: pytest.TempPathFactory, estimators: Mapping[tuple[str, float], Pipeline]
) -> Models:
    """In place of `models`: of versions that raise for a carrier which they do not know."""
    return Models(Stores(Settings(home=tmp_path_factory.mktemp("home")), actor="test"), estimators)


@pytest.fixture(scope="module")
def start_server(models: Models) -> Iterator[Callable[..., Server]]:
    """Starts data planes; ends at the end what a failed test has left running."""
    servers: list[Server] = []

    def start(*, descriptors: int | None = None, **environment: str) -> Server:
        servers.append(ForkedServer(models.stores.settings.home, descriptors=descriptors, **environment))
        return servers[-1]

    yield start
    for server in servers:
        server.stop(signal.SIGKILL)


@pytest.fixture(scope="module")
def server(start_server: Callable[..., Server]) -> Server:
    """One for all tests of a file: each has a model of its own."""
    return start_server()
