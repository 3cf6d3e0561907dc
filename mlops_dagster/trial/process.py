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
"""For the process to import what versions are made of: 2 s of CPU, nicely."""
# One thread each: who forks must not have the threads of a pool, and a lane of the data plane has one as well.
_ONE_THREAD: Final = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}


class TrialProcess:
    """A process that has imported what versions need, and forks for each trial. Started when it is first needed.

    It ends when it has had nothing to do for some minutes, and at once with the process that started it. With `nicer`
    it runs behind whoever has to answer requests.
    """

    def __init__(self, module: str = EXAMINATION, *, nicer: int = 0) -> None:
        self._module = module
        self._nicer = nicer
        self._popen: subprocess.Popen[bytes] | None = None
        self._one_at_a_time = threading.Lock()

    def run(self, job: bytes, seconds: float) -> Report:
        """Return what the trial of `job` found out; raises ServerError if it could not be made."""
        with self._one_at_a_time:
            # It may have ended just now, for want of work.
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
                # A version may hold types of modules that only this process has on its path.
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
    """Return the line that comes before the deadline; None if it does not, or the other side ends."""
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
    """Return the one of this process: two seconds of imports are paid once, by whoever tries first."""
    return TrialProcess()


# Two processes must not ask one and the same.
os.register_at_fork(after_in_child=shared_process.cache_clear)
