"""What becomes of versions that misbehave: found out in a process of its own, with the reason, and remembered."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from mlops_dagster.errors import ServerError, TrialFailedError
from mlops_dagster.registry import Baseline
from mlops_dagster.schema import Feature, ModelSchema
from mlops_dagster.settings import Settings
from mlops_dagster.statistics import CategoricalBins, Histogram, NumericBins
from mlops_dagster.tasks import Classification
from mlops_dagster.trial import Report, Subject, Trials, Verdict
from mlops_dagster.trial.process import TrialProcess

SCHEMA = ModelSchema(
    features=(Feature(name="delay", kind="numeric"), Feature(name="distance", kind="numeric", nullable=False)),
    task=Classification(classes=("on_time", "late")),
)
_VALUES = [float(value) for value in range(-20, 20)]
_COUNTS = Histogram.of(NumericBins.fit(_VALUES), _VALUES)
BASELINE = Baseline(
    {"delay": _COUNTS, "distance": _COUNTS},
    Histogram.of(NumericBins((0.5,)), [0.5]),
    Histogram.of(CategoricalBins(SCHEMA.task.truths), ["late"]),
)

REFUSED = {
    "Crashes": "crashed with SIGSEGV while scoring one row like its training data",
    "CrashesOnNull": "crashed with SIGSEGV while scoring a row with null for 'delay'",
    "EndsProcess": "ended its process with exit code 0 while scoring",
    "Forks": "forks the process while scoring .*, and both go on",
    "Exits": "answers no row that is like its training data: version 1.1.0 raised SystemExit: 3",
    "ExitsAtLoad": "cannot be loaded \\(SystemExit: 0\\)",
    "DropsRows": "returned \\(1, 2\\) probabilities for 32 rows",
    "OtherClasses": "tells \\['early', 'on_time'\\] apart",
    "WithoutProbabilities": "has no predict_proba",
    "NotANumber": r"answers no row .* the scores \[nan, nan\], not all of them finite",
    "Margins": "probabilities",
    "Random": "answers the same row differently",
    "LooksAtNeighbours": "answers the same row differently: .* in a batch of 1,.* scores each row by itself",
    "KeepsMemory": "keeps [0-9]+ kB of memory for each 32 rows",
    "HugeAtLoad": "needs more than 400 MB of memory for loading it; .* MLOPS_TRIAL_MEMORY_MB",
    "Recursive": "RecursionError",
    "NeedsAModule": "needs the module no_such_library",
    "OneRowOnly": "Got: 32 Expected: 1, for 32 rows at once .* any number of rows",
    "FourRowsOnly": "Expected: 4, for 32 rows at once .* any number of rows",
    "TakesNothing": "answers no row that is like its training data: .* columns are missing",
}


def subject(digest: str) -> Subject:
    return Subject("flights", "1.1.0", digest, SCHEMA, BASELINE.to_json())


@pytest.fixture(scope="module")
def process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TrialProcess]:
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("LEFT_BEHIND", str(tmp_path_factory.mktemp("left") / "pids"))
        process = TrialProcess("tests.support.fakes", nicer=3)
        yield process
        process.close()


@pytest.fixture
def trials(process: TrialProcess, tmp_path: Path) -> Trials:
    settings = Settings(home=tmp_path, trial_seconds=20, trial_memory_mb=400)
    return Trials(settings, settings.trials_path, process)


def artifact(kind: str) -> "object":
    def put(path: Path) -> Path:
        path.write_text(kind)
        return path

    return put


def prove(trials: Trials, kind: str) -> Report:
    return trials.prove(subject(kind), artifact(kind))  # type: ignore[arg-type]  # a function


@pytest.mark.parametrize("kind", REFUSED)
def test_what_would_fail_everybody_is_refused_with_the_step_and_the_reason(trials: Trials, kind: str) -> None:
    with pytest.raises(TrialFailedError, match=f"(?s)^flights 1.1.0 failed its trial: .*{REFUSED[kind]}"):
        prove(trials, kind)
    assert trials.remembered(subject(kind)).verdict is Verdict.REFUSED  # type: ignore[union-attr]  # it is known


@pytest.mark.parametrize("kind", ["Sound", "Chatty", "Threaded", "LeavesProcesses", "RefusesNull"])
def test_what_serves_passes_and_its_weakness_is_noted(trials: Trials, kind: str) -> None:
    report = prove(trials, kind)
    assert report.verdict is Verdict.PASSED
    weak = kind == "RefusesNull"
    assert report.notes == (("fails on null for 'delay', which its schema allows",) if weak else ())
    assert prove(trials, "Sound").verdict is Verdict.PASSED  # no answer of the last one is taken for this one's


def test_nothing_of_a_trial_outlives_it(trials: Trials) -> None:
    prove(trials, "LeavesProcesses")
    left = Path(os.environ["LEFT_BEHIND"]).read_text().split()
    assert left
    assert not any(is_alive(int(pid)) for pid in left)


def test_a_load_that_hangs_in_native_code_is_ended_and_is_tried_again_later(
    process: TrialProcess, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trials = Trials(Settings(home=tmp_path, trial_seconds=0.5), tmp_path / "trials", process)
    with pytest.raises(TrialFailedError, match=r"not done with loading it after 0.5 s; .* MLOPS_TRIAL_SECONDS"):
        prove(trials, "HangsAtLoad")
    assert trials.remembered(subject("HangsAtLoad")) is not None
    monkeypatch.setattr("mlops_dagster.trial.trials.UNFINISHED_HOLDS", -1)
    assert trials.remembered(subject("HangsAtLoad")) is None


def test_a_version_that_is_slower_than_requests_are_waited_for_is_refused(
    process: TrialProcess, tmp_path: Path
) -> None:
    trials = Trials(Settings(home=tmp_path, predict_timeout=0.25), tmp_path / "trials", process)
    with pytest.raises(TrialFailedError, match=r"takes [0-9.]+ s for one row, and a request is given up after 0.25 s"):
        prove(trials, "Slow")


def test_a_trial_is_made_once_a_machine_and_again_for_other_bytes_or_limits(
    trials: Trials, process: TrialProcess, tmp_path: Path
) -> None:
    assert prove(trials, "Sound").seconds > 0
    never = Trials(Settings(home=tmp_path, trial_seconds=20, trial_memory_mb=400),
                   tmp_path / "trials", TrialProcess("tests.no_such_module"))  # fmt: skip
    assert prove(never, "Sound").verdict is Verdict.PASSED
    for other in ("Threaded", "Random"):
        with pytest.raises(ServerError, match="ended before it had tried the version"):
            prove(never, other)
        assert never.remembered(subject(other)) is None
    larger = Trials(Settings(home=tmp_path, trial_memory_mb=500), tmp_path / "trials", process)
    assert larger.remembered(subject("Sound")) is None


def test_a_home_that_is_full_or_read_only_costs_a_trial_and_no_version(
    trials: Trials, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mlops_dagster.trial.report.NamedTemporaryFile", no_room)
    assert prove(trials, "Sound").verdict is Verdict.PASSED
    assert trials.remembered(subject("Sound")) is None


def no_room(**_: object) -> None:
    raise OSError(28, "No space left on device")


PARENT = """
import sys
from pathlib import Path
from tests.trial.test_trials import SCHEMA, artifact, subject
from mlops_dagster.settings import Settings
from mlops_dagster.trial import Trials
from mlops_dagster.trial.process import TrialProcess
home, kind = sys.argv[1:]
settings = Settings(home=Path(home))
Trials(settings, settings.trials_path, TrialProcess("tests.support.fakes")).prove(subject(kind), artifact(kind))
"""


def test_a_trial_ends_with_its_parent_however_that_ends(tmp_path: Path) -> None:
    parent = subprocess.Popen([sys.executable, "-c", PARENT, str(tmp_path), "HangsAtLoad"])
    try:
        processes = eventually(lambda: family(parent.pid) if len(family(parent.pid)) == 2 else None)
    finally:
        parent.kill()
        parent.wait()
    eventually(lambda: not any(is_alive(pid) for pid in processes))


def test_who_forks_has_no_threads_but_those_that_survive_it(trials: Trials, process: TrialProcess) -> None:
    """jemalloc (of Arrow) is told of a fork, and goes on in the child; a pool of OpenMP or BLAS would hang it."""
    prove(trials, "Sound")
    assert process._popen is not None
    names = [(task / "comm").read_text().strip() for task in Path(f"/proc/{process._popen.pid}/task").iterdir()]
    assert sorted(set(names) - {"jemalloc_bg_thd"}) == [(Path(f"/proc/{process._popen.pid}/comm").read_text().strip())]
    assert len([name for name in names if name != "jemalloc_bg_thd"]) == 1
    assert os.getpriority(os.PRIO_PROCESS, process._popen.pid) == min(os.nice(0) + 3, 19)


def family(pid: int) -> list[int]:
    """The children of a process, and theirs."""
    found = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [one for child in map(int, found) for one in (child, *family(child))]


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def eventually(found: "object", seconds: float = 60.0) -> "list[int]":
    deadline = time.monotonic() + seconds
    while not (result := found()):  # type: ignore[operator]  # a function
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return result
