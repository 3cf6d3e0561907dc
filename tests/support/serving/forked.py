"""Data planes whose processes are forked; `tests/serving/test_supervisor.py` has some that start as operators' do."""

import ctypes
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import nullcontext
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace

from mlops_dagster.serving.processes import child
from mlops_dagster.serving.processes.heartbeat import child_main
from mlops_dagster.serving.processes.supervisor import run
from mlops_dagster.settings import Settings
from tests.support.trials import PASSED_TRIALS, each_tried_once

_PR_SET_NAME = 15


def supervise(descriptors: int | None = None) -> None:
    """Run a data plane in this process, which was forked for it, and fork its others.

    Its home may be another machine's, which has tried no version yet: what passed in this run is not tried again.
    """
    assert "mlops_dagster.serving.processes.worker" in sys.modules, "what is not preloaded is imported at each start"
    if descriptors is not None:
        resource.setrlimit(resource.RLIMIT_NOFILE, (descriptors, descriptors))
    child.subprocess = SimpleNamespace(**{**vars(subprocess), "Popen": ForkedChild})
    passed = os.environ.get(PASSED_TRIALS)
    with nullcontext() if passed is None else each_tried_once(Path(passed)):
        run(Settings())


class ForkedChild:
    """The part of `subprocess.Popen` that a supervisor uses."""

    def __init__(
        self, command: Sequence[str], *, env: Mapping[str, str], pass_fds: Iterable[int], **_options: object
    ) -> None:
        self.returncode: int | None = None
        self.pid = os.fork()
        if self.pid == 0:
            try:
                _become(command, env, {0, 1, 2, *pass_fds})
            finally:
                os._exit(1)

    def poll(self) -> int | None:
        if self.returncode is None:
            ended, status = os.waitpid(self.pid, os.WNOHANG)
            self.returncode = os.waitstatus_to_exitcode(status) if ended else None
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        deadline = None if timeout is None else time.monotonic() + timeout
        while (code := self.poll()) is None:
            if deadline is not None and time.monotonic() >= deadline:
                raise subprocess.TimeoutExpired(str(self.pid), timeout or 0.0)
            time.sleep(0.01)
        return code

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


def _become(command: Sequence[str], environment: Mapping[str, str], kept: set[int]) -> None:
    """Go on as a program that was started afresh, with none of the parent's files and handlers of signals."""
    os.setsid()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_DFL)
    for descriptor in {int(path.name) for path in Path("/proc/self/fd").iterdir()} - kept:
        try:
            os.close(descriptor)
        except OSError:  # that of the folder itself
            continue
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.environ.clear()
    os.environ.update(environment)
    module, sys.argv = command[2], [*command[2:]]
    ctypes.CDLL(None).prctl(_PR_SET_NAME, module.rpartition(".")[2].encode())
    child_main(import_module(module).work)
