"""A password, in whatever part of whatever URL, is in no answer, error, log, traceback or process list."""

import itertools
import logging
import os
import re
import signal
import stat
import string
import traceback
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlops_dagster.backup import back_up
from mlops_dagster.errors import MlopsError, StorageError
from mlops_dagster.predictions import PredictionLog
from mlops_dagster.registry import ModelRegistry
from mlops_dagster.settings import Settings
from mlops_dagster.urls import shown_url, without_secrets
from tests.support.forks import Forked
from tests.support.program import mlops_in
from tests.support.serving.data_plane import eventually
from tests.support.serving.forked import supervise

SECRET = "Tr0ub4dor.and.3"  # noqa: S105  # nobody's
ODD = "Tr0ub4dor/and?3#x=1&y"

DATABASES = [
    f"postgresql://ada:{SECRET}@127.0.0.1:1/mlops",
    f"postgresql://ada:{ODD}@127.0.0.1:1/mlops",
    f"postgresql://ada:x@{SECRET}@127.0.0.1:1/mlops",
    f"postgresql://ada:{SECRET.replace('.', '%2E')}@127.0.0.1:1/mlops",
    f"postgresql://ada@127.0.0.1:1/mlops?password={SECRET}",
    f"postgresql://ada@127.0.0.1:1/mlops?p%61ssword={SECRET}",
    f"postgresql://ada@127.0.0.1:1/mlops?sslmode=require&sslpassword={SECRET}",
    f"postgresql://ada@127.0.0.1:1/mlops?options=-c%20my.secret%3D{SECRET}",
    f"postgresql://ada@127.0.0.1:1/mlops?passwd={SECRET}",
    f"postgresql://ada:{SECRET}@127.0.0.1:port/mlops",
    f"postgresql://ada:{SECRET}@[::1/mlops",
    f"postgres://ada:{SECRET}@127.0.0.1/mlops",
    f"mysql://ada:{SECRET}@127.0.0.1/mlops",
    f"host=127.0.0.1 user=ada password={SECRET}",
    f"host=127.0.0.1 user=ada password = '{SECRET}'",
    f"ada:{SECRET}@127.0.0.1/mlops",
    f"sqlite:///x?key={SECRET}",
]
STORES = [
    f"s3://AKIA:{SECRET}@models/prefix",
    f"s3://models/prefix?aws_secret_access_key={SECRET}",
    f"https://ada:{SECRET}@models.example/prefix",
    f"s3://:{SECRET}@",
]
SERVERS = [
    f"mlflow://ada:{SECRET}@127.0.0.1:1",
    f"http://{SECRET}@127.0.0.1:1",
    f"http://127.0.0.1:1?token={SECRET}",
    f"mlflow://ada:{SECRET}@127.0.0.1:port",
    f"ftp://ada:{SECRET}@127.0.0.1",
]


def pieces(secret: str) -> list[str]:
    """What must not be seen: the secret, or half of it."""
    return [secret, secret.replace(".", "%2E"), secret[:9], secret[-9:]] if secret is SECRET else [secret[:9], "3#x=1"]


def nothing_is_told(text: str) -> None:
    assert not [each for each in (*pieces(SECRET), *pieces(ODD)) if each in text], text


def register_in(uri: str, home: Path) -> None:
    ModelRegistry(uri, settings=Settings(home=home)).models()


def log_at(url: str, _home: Path) -> None:
    PredictionLog(url).models()


def artifacts_at(url: str, home: Path) -> None:
    ModelRegistry(settings=Settings(home=home, storage_url=url)).audit()


def register_from(url: str, home: Path) -> None:
    ModelRegistry(settings=Settings(home=home)).register("flights", url)


def catalogue_at(url: str, home: Path) -> None:
    ModelRegistry(settings=Settings(home=home, mlflow_url=url)).sync_catalogue()


def mlflow_artifact_at(url: str, home: Path) -> None:
    ModelRegistry(settings=Settings(home=home, mlflow_url=url)).register("flights", "models:/x/1")


def backup_of(url: str, home: Path) -> None:
    home.mkdir(exist_ok=True)
    back_up(home, home.with_name("copy"), url)


USES: list[tuple[Callable[[str, Path], None], str]] = [
    *itertools.product([register_in, backup_of], DATABASES),
    *itertools.product([log_at, artifacts_at, register_from], STORES),
    *itertools.product([catalogue_at, mlflow_artifact_at], SERVERS),
]


@pytest.fixture(autouse=True)
def quick_s3(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {
        "AWS_ENDPOINT_URL": f"http://ada:{SECRET}@127.0.0.1:1", "AWS_ACCESS_KEY_ID": "AKIA", "AWS_MAX_ATTEMPTS": "1",
        "AWS_SECRET_ACCESS_KEY": SECRET, "AWS_REGION": "us-east-1", "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",
    }.items():  # fmt: skip
        monkeypatch.setenv(name, value)


@pytest.mark.parametrize(("use", "url"), USES)
def test_no_error_traceback_or_log_line_tells_a_password(
    use: Callable[[str, Path], None], url: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    try:
        use(url, tmp_path / "home")
    except MlopsError as error:
        nothing_is_told("".join(traceback.format_exception(error)))
        nothing_is_told(repr(error.args))
    nothing_is_told(caplog.text)
    nothing_is_told(repr(Settings(database_url=url, storage_url=url, log_url=url, mlflow_url=url)))


COMMANDS = [["models", "list"], ["predictions", "audit"], ["alerts", "list"], ["backup", "copy"], ["serve"]]


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_no_command_tells_one(command: list[str], tmp_path: Path) -> None:
    environment = {
        "MLOPS_HOME": str(tmp_path / "home"), "MLOPS_DATABASE_URL": DATABASES[4], "MLOPS_MLFLOW_URL": SERVERS[0],
        "MLOPS_PORT": "0",
    }  # fmt: skip
    (tmp_path / "home").mkdir()
    be = supervise if command == ["serve"] else partial(mlops_in, str(tmp_path), *command)
    said = tmp_path / "said"
    with said.open("ab") as file:
        process = Forked(be, env=os.environ | environment, stdout=file.fileno(), share_stderr=True)
    eventually(lambda: re.search("storage|StorageError|cannot be used", said.read_text()))
    if command == ["serve"]:  # it serves on while its database is away
        process.send_signal(signal.SIGTERM)
    process.wait(60)
    nothing_is_told(said.read_text())


@pytest.mark.parametrize("number", [0, 4, 6, 7])
def test_pg_dump_is_told_it_in_a_file_of_its_owner(
    number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = tmp_path / "seen"
    program = tmp_path / "pg_dump"
    program.write_text(
        "#!/bin/sh\n"
        f'{{ tr "\\0" " " < /proc/$$/cmdline; env; }} | grep -v ^AWS_ > {seen}\n'
        f'cp -p "$PGSERVICEFILE" {seen}.service\nexit 1\n'
    )
    program.chmod(0o700)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    (tmp_path / "home").mkdir()
    with pytest.raises(StorageError, match="pg_dump failed"):
        back_up(tmp_path / "home", tmp_path / "copy", DATABASES[number])
    nothing_is_told(seen.read_text())
    service = Path(f"{seen}.service")
    assert SECRET in service.read_text()
    assert stat.S_IMODE(service.stat().st_mode) == 0o600


@given(
    password=st.text(string.ascii_letters + string.digits + ":/?#@&=%+ ~", min_size=8).filter(
        lambda text: text.strip()
    ),
    host=st.sampled_from(["db.example", "127.0.0.1:5432", "[::1]:5432"]),
)
def test_any_password_is_hidden_and_the_place_is_shown(password: str, host: str) -> None:
    url = f"postgresql://ada:{password}@{host}/mlops"
    assert shown_url(url) == f"postgresql://ada:***@{host}/mlops"
    assert shown_url(f"mlflow://ada:{password}@{host}") == f"mlflow://***@{host}"


@pytest.mark.parametrize(
    "text", ["s3://models/a@b/c#d", "postgresql://ada@db/mlops?sslmode=require", "/var/lib/mlops", "no token 'ci'; a=b"]
)
def test_what_is_no_secret_is_shown_as_it_is(text: str) -> None:
    assert without_secrets(text) == text
