"""A backup that is taken under load is a home in which nothing is missing."""

import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from mlops_dagster.backup import back_up
from mlops_dagster.errors import InvalidInputError, StorageError
from mlops_dagster.predictions import audit
from mlops_dagster.registry import GatePolicy, ModelRegistry
from mlops_dagster.settings import Settings
from mlops_dagster.wiring import House


@contextmanager
def predictions_are_served(home: Path) -> Iterator[None]:
    """Two processes, as in production: one answers, one rolls up and ships."""
    worker = [sys.executable, "-m", "tests.predictions.workers"]
    served, taken = [*worker, "append", str(home), "p", "1"], [*worker, "take", str(home)]
    processes = [subprocess.Popen(command, stdout=subprocess.PIPE) for command in (served, taken)]
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
def versions_come_and_go(home: Path, artifact: Path) -> Iterator[None]:
    begun, enough = threading.Event(), threading.Event()

    def work() -> None:
        registry = ModelRegistry(settings=Settings(home=home))
        number = 0
        while not enough.is_set():
            artifact.write_text(f"weights {number}")
            version = registry.register("flights", artifact)
            registry.transition(version, "Production", reason="backup", force=True)
            number += 1
            begun.set()

    worker = threading.Thread(target=work)
    worker.start()
    begun.wait()
    try:
        yield
    finally:
        enough.set()
        worker.join()


def test_a_backup_under_load_is_whole_and_works_on(tmp_path: Path) -> None:
    home = tmp_path / "home"
    House(Settings(home=home)).registry.close()
    with predictions_are_served(home), versions_come_and_go(home, tmp_path / "model.onnx"):
        for number in range(4):
            assert back_up(home, tmp_path / f"copy {number}") > 0
    events, answers = 0, 0
    for number in range(4):
        restored = House(Settings(home=tmp_path / f"copy {number}"))
        head = restored.registry.audit()
        for version in restored.versions("flights"):
            restored.registry.fetch(version, tmp_path / f"artifact {number} {version.version}")
        report = audit(restored.spool, restored.log)
        assert report.complete, report.gaps
        assert (head.events >= events, report.answered >= answers) == (True, True)
        events, answers = head.events, report.answered
    assert (events > 2, answers > 10) == (True, True)

    # The last copy goes on where it was: what waits in its spool is shipped once.
    restored.log.ship(restored.spool)
    assert audit(restored.spool, restored.log).complete
    restored.registry.set_gates("flights", GatePolicy(min_micro_f1=0))
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
    House(Settings(home=home)).registry.close()
    with pytest.raises(StorageError, match="is not whole"):
        back_up(home, Path("/proc/backup"))  # where nobody can write, not even root
