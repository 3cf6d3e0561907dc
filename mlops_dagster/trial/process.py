"""The parent's side of the warm process that trials are forked from."""

import logging
import os
import select
import subprocess
import sys
import threading
import time
from functools import cache
from pathlib import Path
from typing import Final

from mlops_dagster.errors import ServerError
from mlops_dagster.trial.report import Report

logger = logging.getLogger(__name__)

EXAMINATION: Final = "mlops_dagster.inference.examination"

_START_SECONDS: Final = 120.0
"""The time for the process to import the libraries of versions: 2 s of CPU, at a low priority."""
# One thread for each library: a process that forks must not have a pool's threads, and the data plane scores with one.
_ONE_THREAD: Final = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}


class TrialProcess:
    """A process that has imported the libraries of versions and forks for each trial; started when it is first needed.

    It ends when it had nothing to do for some minutes, and at once with the process that started it. `nicer` lowers its
    priority, so that it yields to processes that answer requests.
    """

    def __init__(self, module: str = EXAMINATION, *, nicer: int = 0) -> None:
        self._module = module
        self._nicer = nicer
        self._popen: subprocess.Popen[bytes] | None = None
        self._one_at_a_time = threading.Lock()

    def run(self, job: bytes, seconds: float) -> Report:
        """Return the report of the trial of `job`; raises ServerError if the trial could not be made."""
        with self._one_at_a_time:
            # Asked twice: the process may have ended just now, after minutes without work.
            answer = self._asked(job, seconds) or self._asked(job, seconds)
            report = None if answer is None else Report.from_json(answer)
        if report is None:
            raise ServerError(
                f"the trial process ({sys.executable} -m {self._module}) ended before it had tried the version; its "
                "last words are in the log of this process, and there may be too little memory"
            )
        return report

    def close(self) -> None:
        """End the process, and a trial that is running."""
        popen, self._popen = self._popen, None
        if popen is not None:
            popen.kill()
            popen.communicate()

    def _asked(self, job: bytes, seconds: float) -> bytes | None:
        if self._popen is None or self._popen.poll() is not None:
            self.close()
            self._popen = self._started()
        assert self._popen.stdin is not None
        assert self._popen.stdout is not None
        try:
            self._popen.stdin.write(job + b"\n")
            self._popen.stdin.flush()
            line = _line(self._popen.stdout.fileno(), time.monotonic() + _START_SECONDS + seconds)
        except BrokenPipeError:
            line = None
        if line is None:
            self.close()
        return line

    def _started(self) -> subprocess.Popen[bytes]:
        try:
            return subprocess.Popen(  # noqa: S603  # our own program
                [sys.executable, "-m", self._module, str(self._nicer)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                # A version may hold types of modules that are only on the path of this process.
                env={
                    **os.environ,
                    **_ONE_THREAD,
                    "PYTHONPATH": os.pathsep.join(path or str(Path.cwd()) for path in sys.path),
                },
                start_new_session=True,  # Ctrl-C is for the parent
            )
        except OSError as error:
            raise ServerError(f"the trial process cannot be started: {error.strerror}; try again") from error


def _line(descriptor: int, deadline: float) -> bytes | None:
    """Return the line that arrives before the deadline; None if none does, or if the other side ends."""
    found = b""
    while not found.endswith(b"\n"):
        ready, _, _ = select.select([descriptor], [], [], max(deadline - time.monotonic(), 0.0))
        part = os.read(descriptor, 1 << 16) if ready else b""
        if not part:
            return None
        found += part
    return found


@cache
def shared_process() -> TrialProcess:
    """Return the trial process that this process shares among its trials: the first one pays for 2 s of imports."""
    return TrialProcess()


# Two processes must not share one trial process.
os.register_at_fork(after_in_child=shared_process.cache_clear)
