"""Who is blamed for the death of a worker, and when that is proof. Threads and versions are made up; deaths are not."""

import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlops_dagster.serving.processes.at_work import Marks, Work, at_work, crashed_thread
from mlops_dagster.serving.processes.culprits import WITHIN_SECONDS, Death, blamed, killers
from mlops_dagster.serving.processes.inquest import Inquest
from mlops_dagster.trial import Report, Verdict

CHAMPION, SHADOW, OTHER = (Work("m", name, f"{name}.json", thread) for thread, name in enumerate(("1", "2", "3"), 1))


def death(*work: Work, at: float = 0.0, code: int = -signal.SIGSEGV, crashed: int | None = None, **how: bool) -> Death:
    return Death(at, code, how.get("hung", False), how.get("oom", False), crashed, work)


def test_the_thread_that_crashed_tells_which_version_did() -> None:
    assert blamed(death(CHAMPION, SHADOW, crashed=SHADOW.thread)) == (SHADOW,)
    assert killers([death(CHAMPION, SHADOW, crashed=SHADOW.thread)]) == {SHADOW: 1}
    assert blamed(death(CHAMPION, SHADOW, crashed=99)) == (), "a thread of Python that is at no version"


def test_without_it_all_that_were_at_work_are_suspects_and_two_deaths_are_proof() -> None:
    assert killers([death(CHAMPION, SHADOW)]) == {}
    assert killers([death(CHAMPION, SHADOW), death(SHADOW, OTHER, at=9)]) == {SHADOW: 2}
    assert killers([death(CHAMPION, SHADOW), death(SHADOW, OTHER, at=WITHIN_SECONDS + 1)]) == {}
    assert killers([death(SHADOW)]) == {SHADOW: 1}


@pytest.mark.parametrize("code", [-signal.SIGKILL, -signal.SIGTERM, -signal.SIGINT, 0, 1])
def test_who_is_killed_or_ends_died_of_no_version(code: int) -> None:
    """The tests and operators kill workers all the time, and versions are at work all the time."""
    assert killers([death(SHADOW, code=code, at=at) for at in range(9)]) == {}


def test_want_of_memory_and_a_lock_that_is_never_let_go_are_deaths_by_a_version() -> None:
    assert killers([death(SHADOW, code=-signal.SIGKILL, oom=True)]) == {SHADOW: 1}
    assert killers([death(SHADOW, code=-signal.SIGABRT, hung=True, crashed=77)]) == {SHADOW: 1}


_DEATHS = st.lists(
    st.builds(
        Death,
        at=st.floats(0, 2000),
        code=st.sampled_from([-signal.SIGSEGV, -signal.SIGKILL, -signal.SIGABRT, 1]),
        hung=st.booleans(),
        out_of_memory=st.booleans(),
        crashed=st.sampled_from([None, 1, 2, 3, 99]),
        work=st.sets(st.sampled_from([CHAMPION, SHADOW, OTHER])).map(tuple),
    ),
    min_size=1,
).map(lambda deaths: sorted(deaths, key=lambda death: death.at))


@given(_DEATHS)
def test_nobody_is_taken_out_who_was_not_at_work_at_the_last_death(deaths: list[Death]) -> None:
    found = killers(deaths)
    assert found.keys() <= set(deaths[-1].work)
    assert all(1 <= count <= len(deaths) for count in found.values())
    for work, count in found.items():
        alone = any(blamed(death) == (work,) for death in deaths)
        assert alone or count >= 2


CRASH = """
import ctypes, faulthandler, sys, threading
from pathlib import Path
from mlops_dagster.serving.processes.at_work import Marks, traces
dump, file = traces(Path(sys.argv[1]), "worker-1")
faulthandler.enable(dump.open("w"))
marks = Marks(file)
champion, shadow = marks.of("m", "1", "one.json"), marks.of("m", "2", "two.json")
gate = threading.Event()
def score(mark, work):
    with mark:
        pass  # what is over is no work
    with mark:
        work()
threading.Thread(target=score, args=(champion, gate.wait), daemon=True).start()
threading.Thread(target=score, args=(shadow, lambda: ctypes.string_at(0))).start()
"""


def test_a_crash_is_traced_to_its_version_among_others_at_work(tmp_path: Path) -> None:
    """With what a real crash leaves behind; an inquest that finds nothing blames nobody."""
    trials = tmp_path / "trials"
    Report(Verdict.PASSED, notes=("slow",)).keep(trials / "two.json")
    ended = subprocess.run([sys.executable, "-c", CRASH, str(tmp_path)], check=False)
    assert ended.returncode == -signal.SIGSEGV
    inquest = Inquest(tmp_path, trials)
    assert inquest.hold("worker-1", ended.returncode, hung=False)
    assert [file.name for file in trials.iterdir()] == ["two.json"]
    found = Report.read(trials / "two.json")
    assert found is not None
    assert (found.verdict, found.deaths, found.notes) == (Verdict.KILLED, 1, ("slow",))
    assert "it killed 1 worker of the data plane while it was loaded or scored (SIGSEGV)" in found.reason
    assert not inquest.hold("worker-1", ended.returncode, hung=False)


def test_marks_are_of_a_thread_and_beyond_their_number_of_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mlops_dagster.serving.processes.at_work.SLOTS", 3)
    file = tmp_path / "worker-1.work"
    marks = Marks(file)
    for version in "1234":
        marks.of("m", version, f"{version}.json").__enter__()
    here = threading.get_ident()
    assert at_work(file) == [Work("m", "1", "1.json", here), Work("m", "2", "2.json", here)]
    assert at_work(tmp_path / "never") == []
    assert crashed_thread("Fatal Python error: Segmentation fault\n\nThread 0x00ff (most recent call first):") is None
