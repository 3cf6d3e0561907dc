"""Versions that misbehave, each in its way: `python -m tests.support.fakes` is the process that tries them.

The artifact is a text file with the name of a class in here.
"""

import ctypes
import os
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from mlops_dagster.inference.examination import examine
from mlops_dagster.registry import estimators
from mlops_dagster.tasks import Task
from mlops_dagster.trial.warm import serve

_KEPT: list[bytearray] = []
Numbers = npt.NDArray[np.float64]


class Sound:
    """Late is what is delayed. Null is on time."""

    classes_ = np.array(["late", "on_time"])

    def predict_proba(self, X: pd.DataFrame) -> Numbers:  # noqa: N803  # scikit-learn's name
        late = 1 / (1 + np.exp(-np.nan_to_num(np.asarray(X, dtype=float)[:, 0]).clip(-30, 30)))
        return np.column_stack([late, 1 - late])


class Chatty(Sound):
    def predict_proba(self, X: pd.DataFrame) -> Numbers:  # noqa: N803
        sys.stdout.write("x" * 100_000)
        sys.stderr.write("y" * 100_000)
        os.write(1, b'{"verdict": "passed"}\n')
        return super().predict_proba(X)


class Threaded(Sound):
    def __init__(self) -> None:
        threading.Thread(target=time.sleep, args=(3600,), daemon=True).start()


class LeavesProcesses(Sound):
    """And tells their numbers in a file beside its artifact."""

    def predict_proba(self, X: pd.DataFrame) -> Numbers:  # noqa: N803
        left = subprocess.Popen(["sleep", "3600"], start_new_session=True)
        with Path(os.environ["LEFT_BEHIND"]).open("a") as file:
            file.write(f"{left.pid}\n")
        return super().predict_proba(X)


class Forks(Sound):
    """Both go on."""

    def predict_proba(self, X: pd.DataFrame) -> Numbers:  # noqa: N803
        os.fork()
        return super().predict_proba(X)


class RefusesNull(Sound):
    def predict_proba(self, X: pd.DataFrame) -> Numbers:  # noqa: N803
        if np.isnan(np.asarray(X, dtype=float)).any():
            raise ValueError("Input X contains NaN")
        return super().predict_proba(X)


class Crashes(Sound):
    def predict_proba(self, X: pd.DataFrame) -> Numbers:  # noqa: N803
        ctypes.string_at(0)
        return super().predict_proba(X)


class CrashesOnNull(Sound):
    def predict_proba(self, X: pd.DataFrame) -> Numbers:  # noqa: N803
        if np.isnan(np.asarray(X, dtype=float)).any():
            ctypes.string_at(0)
        return super().predict_proba(X)


class HangsAtLoad(Sound):
    """In native code, with the interpreter's lock."""

    def __init__(self) -> None:
        ctypes.PyDLL(None).sleep(3600)


class EndsProcess(Sound):
    def predict_proba(self, X: pd.DataFrame) -> Numbers:  # noqa: N803, ARG002
        os._exit(0)


class Exits(Sound):
    def predict_proba(self, X: pd.DataFrame) -> Numbers:  # noqa: N803, ARG002
        sys.exit(3)


class ExitsAtLoad(Sound):
    def __init__(self) -> None:
        sys.exit(0)


class DropsRows(Sound):
    def predict_proba(self, X: pd.DataFrame) -> Numbers:  # noqa: N803
        return super().predict_proba(X)[:1]


class OtherClasses(Sound):
    classes_ = np.array(["early", "on_time"])


class WithoutProbabilities:
    classes_ = Sound.classes_

    def predict(self, X: pd.DataFrame) -> npt.NDArray[np.str_]:  # noqa: N803
        return np.full(len(X), "late")


class NotANumber(Sound):
    def predict_proba(self, X: pd.DataFrame) -> Numbers:  # noqa: N803
        return np.full((len(X), 2), np.nan)


class Margins(Sound):
    def predict_proba(self, X: pd.DataFrame) -> Numbers:  # noqa: N803
        return super().predict_proba(X) * 7


class Random(Sound):
    def predict_proba(self, X: pd.DataFrame) -> Numbers:  # noqa: N803
        late = np.random.default_rng().random(len(X))
        return np.column_stack([late, 1 - late])


class LooksAtNeighbours(Sound):
    """The same for any order of the rows, but not for a row alone."""

    def predict_proba(self, X: pd.DataFrame) -> Numbers:  # noqa: N803
        values = np.nan_to_num(np.asarray(X, dtype=float))
        return super().predict_proba(values - values.mean(axis=0))


class Slow(Sound):
    def predict_proba(self, X: pd.DataFrame) -> Numbers:  # noqa: N803
        time.sleep(0.3)
        return super().predict_proba(X)


class KeepsMemory(Sound):
    def predict_proba(self, X: pd.DataFrame) -> Numbers:  # noqa: N803
        _KEPT.append(bytearray(os.urandom(1 << 20) * 8))
        return super().predict_proba(X)


class HugeAtLoad(Sound):
    def __init__(self) -> None:
        self.weights = np.ones(1 << 30)


class Recursive(Sound):
    def predict_proba(self, X: pd.DataFrame) -> Numbers:  # noqa: N803
        return self.predict_proba(X)


class NeedsAModule(Sound):
    def __init__(self) -> None:
        import no_such_library  # noqa: F401


class OneRowOnly(Sound):
    def predict_proba(self, X: pd.DataFrame) -> Numbers:  # noqa: N803
        if len(X) != 1:
            raise ValueError("Got: 32 Expected: 1")
        return super().predict_proba(X)


class FourRowsOnly(Sound):
    def predict_proba(self, X: pd.DataFrame) -> Numbers:  # noqa: N803
        if len(X) != 4:
            raise ValueError("Got: 1 Expected: 4")
        return super().predict_proba(X)


class TakesNothing(Sound):
    def predict_proba(self, X: pd.DataFrame) -> Numbers:  # noqa: N803, ARG002
        raise ValueError("columns are missing: {'gate'}")


def load(path: Path, _own_types: Sequence[str], _task: Task) -> object:
    return globals()[path.read_text()]()


if __name__ == "__main__":
    estimators.load = load  # type: ignore[assignment]  # what the examination calls
    serve(examine)
