"""One log, many writers: they append, compact and erase at once, are killed meanwhile, and every row is there once."""

import os
import random
import signal
import subprocess
import threading
from contextlib import suppress

import pytest

from mlops_dagster.errors import AlreadyRunningError, StorageError
from mlops_dagster.predictions import Choice, PredictionLog, Rollups, Spool, audit, erase
from mlops_dagster.predictions.log import maintenance
from mlops_dagster.predictions.log.delta import tables as delta
from mlops_dagster.predictions.log.delta import upkeep
from mlops_dagster.predictions.log.maintenance import maintaining
from tests.predictions.test_kill import start
from tests.support.forks import Forked

DAY = 24 * 60


@pytest.fixture
def rollups(tmp_path) -> Rollups:
    return Rollups(f"sqlite:///{tmp_path}/rollups.sqlite")


@pytest.fixture
def in_pieces(spool, log, rollups, record) -> int:
    """A day that is over in four small files, and one row of the next; returns how many rows there are."""
    for number in range(4):
        spool.append([record(number, key="ada" if number == 1 else "bob")])
        log.ship(spool)
    spool.append([record(DAY)])
    rollups.catch_up(spool, lambda *_: None)
    log.ship(spool)
    return 5


def table_of(log: PredictionLog):
    return delta.open_table(log.place.table("predictions/flights"))


MEANWHILE = ("compaction", "erasure", "append", "append of a new column")


@pytest.mark.parametrize("meanwhile", MEANWHILE)
def test_a_compaction_that_commits_late_doubles_and_loses_nothing(
    spool, log, rollups, record, march, in_pieces, monkeypatch, meanwhile
):
    """It stands still between its snapshot and its commit, as a process that was frozen does, and others go on."""
    at, fenced = log.place.table("predictions/flights"), upkeep.fenced
    monkeypatch.setattr(maintenance, "LEASE_SECONDS", 0.0)  # it is taken for dead

    def freeze(*args, **options):
        table = fenced(*args, **options)
        monkeypatch.setattr(upkeep, "fenced", fenced)
        if meanwhile == "compaction":
            upkeep.tidy(at)
        elif meanwhile == "erasure":
            erase(log, spool, [rollups], Choice("flights", keys=("ada",)), actor="eve", reason="asked for", at=march)
        else:
            features = {"new": 1.0} if meanwhile == "append of a new column" else {"hour": 3.0}
            spool.append([record(9, key="bob", features=features)])
            rollups.catch_up(spool, lambda *_: None)
            log.ship(spool)
        return table

    monkeypatch.setattr(upkeep, "fenced", freeze)
    with suppress(StorageError):  # the files that it reads may have been erased
        upkeep.tidy(at)
    expected = in_pieces + {"erasure": -1}.get(meanwhile, meanwhile.startswith("append"))
    report = audit(spool, log, rollups)
    assert (log.count("flights"), report.twice, report.gaps, report.complete) == (expected, 0, (), True)
    upkeep.tidy(at)
    assert (log.count("flights"), len(table_of(log).file_uris())) == (expected, 2)


def test_they_write_and_tidy_at_once_and_are_killed_meanwhile(tmp_path, address, march):
    """Each process appends to a spool of its own, ships and tidies without end; then `kill -9`, and others go on."""
    chance = random.Random(45)  # noqa: S311 - not for secrets
    homes = [tmp_path / f"home-{number}" for number in range(3)]
    answered = dict.fromkeys(homes, 0)
    for round_ in range(1 if address.startswith("s3") else 2):
        workers = []
        for home in homes:
            home.mkdir(exist_ok=True)
            workers.append(start("write", str(home), f"process-{home.name}", str(round_), address))
        threads = [
            threading.Thread(target=kill_after, args=(worker, chance.randint(4, 8), chance.uniform(0, 0.05)))
            for worker in workers
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert [worker.returncode for worker in workers] == [-9] * len(homes)

    log = PredictionLog(address)
    spools = [Spool(home / "spool.sqlite") for home in homes]
    for spool in spools:
        log.ship(spool)
        answered[spool.path.parent] = sum(process.answered for process in spool.processes())
    for spool in spools:
        report = audit(spool, log)
        assert (report.twice, report.gaps, report.problems, report.complete) == (0, (), (), True)
    assert log.count("flights") == sum(answered.values()) > 0
    log.tidy()  # whoever held the lease is dead
    versions = [commit["operation"] for commit in table_of(log).history()]
    assert "OPTIMIZE" in versions


def kill_after(process: Forked, lines: int, delay: float) -> None:
    assert process.stdout is not None
    for _ in range(lines):
        assert process.stdout.readline()
    threading.Event().wait(delay)
    process.kill()
    process.communicate()


def test_one_maintainer_who_is_named_and_has_an_heir_when_it_dies(log, address, monkeypatch):
    monkeypatch.setattr(maintenance, "LEASE_SECONDS", 2.0)
    holder = start("hold", address, stdin=subprocess.PIPE)
    assert holder.stdout is not None
    assert holder.stdout.readline() == "holding\n"
    with pytest.raises(AlreadyRunningError, match=f"process {holder.pid} on "), maintaining(log.place):
        pass
    threading.Timer(0.5, holder.kill).start()
    with maintaining(log.place, wait_seconds=10):
        with pytest.raises(AlreadyRunningError, match=f"process {os.getpid()} on "), maintaining(log.place):
            pass
        holder.communicate()
    with maintaining(log.place):  # it was let go of
        pass


@pytest.mark.parametrize("address", ["S3"], indirect=True)
def test_a_holder_that_comes_back_does_not_free_the_lease_of_its_heir(log, address, monkeypatch):
    monkeypatch.setattr(maintenance, "LEASE_SECONDS", 2.0)
    holder = start("hold", address, stdin=subprocess.PIPE)
    assert holder.stdout is not None
    assert holder.stdout.readline() == "holding\n"
    holder.send_signal(signal.SIGSTOP)
    with maintaining(log.place, wait_seconds=10):
        holder.send_signal(signal.SIGCONT)
        holder.communicate("\n")  # it lets go
        assert holder.returncode == 0
        with pytest.raises(AlreadyRunningError, match=f"process {os.getpid()} on "), maintaining(log.place):
            pass


@pytest.mark.parametrize("address", ["folder"], indirect=True)
def test_who_does_not_hold_the_lease_does_not_tidy(log, in_pieces):
    files = len(table_of(log).file_uris())
    with maintaining(log.place):
        log.tidy()
    assert len(table_of(log).file_uris()) == files
    log.tidy()
    assert len(table_of(log).file_uris()) < files
