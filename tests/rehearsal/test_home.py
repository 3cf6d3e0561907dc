import subprocess
import sys
from pathlib import Path

import pytest

from mlops_dagster.errors import AlreadyRunningError, HomeNotWritableError, InvalidInputError
from mlops_dagster.rehearsal.home import fresh_home

HOLD = """
import sys
from pathlib import Path
from mlops_dagster.rehearsal.home import fresh_home
with fresh_home(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_the_remains_of_an_earlier_rehearsal_are_gone(tmp_path: Path) -> None:
    home = tmp_path / "demo"
    with fresh_home(home):
        (home / "log").mkdir()
        (home / "log" / "part").write_text("old")
        (home / "summary.json").write_text("old")
        (home / "elsewhere").symlink_to(tmp_path)
    (tmp_path / "precious").write_text("mine")
    with fresh_home(home) as ours:
        assert ours.is_absolute()
        assert {entry.name for entry in home.iterdir()} == {"rehearsal.lock", "serving.lock"}
    assert (tmp_path / "precious").read_text() == "mine"


def test_a_folder_of_somebody_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "precious").write_text("mine")
    with pytest.raises(InvalidInputError, match="was not made by a rehearsal"), fresh_home(tmp_path):
        pass
    assert [entry.name for entry in tmp_path.iterdir()] == ["precious"]


def test_a_second_rehearsal_is_refused_while_one_runs_in_another_process(tmp_path: Path) -> None:
    home = tmp_path / "demo"
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(home)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        (home / "summary.json").write_text("being made")
        with pytest.raises(AlreadyRunningError, match="a rehearsal runs in"), fresh_home(home):
            pass
        assert (home / "summary.json").exists()
        holder.communicate("")
    with fresh_home(home):
        assert not (home / "summary.json").exists()


def test_a_home_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(HomeNotWritableError, match="cannot write to"), fresh_home(tmp_path / "file" / "demo"):
        pass
