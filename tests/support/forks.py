"""Processes that are forked from one which has imported the product: a start takes a tenth of the CPU."""

import gc
import multiprocessing
import os
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import cache
from multiprocessing import forkserver, reduction
from multiprocessing.context import ForkServerContext
from multiprocessing.process import BaseProcess
from subprocess import PIPE, TimeoutExpired
from types import TracebackType
from typing import IO

import pytest

from mlops_dagster.inference.examination import PRELOADED as LIBRARIES_OF_VERSIONS

PRELOADED = (
    *LIBRARIES_OF_VERSIONS,
    "deltalake",
    "duckdb",
    "httpx",
    "mlops_dagster.cli",
    "mlops_dagster.serving.processes.supervisor",
    "mlops_dagster.serving.processes.worker",
    "mlops_dagster.serving.upkeep.housekeeper",
    "tests.support.channels.deliver",
    "tests.support.predictions.workers",
    "tests.support.serving.forked",
)
"""No library that starts a thread when it is imported, as onnxruntime does: a child would wait for it for ever."""


@cache
def fork_context() -> ForkServerContext:
    """Return the context of multiprocessing whose processes are forked from the one that has imported all that."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([*PRELOADED])
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("PYTHONPATH", os.pathsep.join(path or os.getcwd() for path in sys.path))  # noqa: PTH109
        environment.setenv("PROMETHEUS_MULTIPROC_DIR", os.devnull)  # prometheus_client decides when it is imported
        for threads in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
            environment.setenv(threads, "1")
        forkserver.ensure_running()
    return context


class Forked:
    """A process that runs a function of a module, with the parameters and methods of `subprocess.Popen`.

    `stdout` may be PIPE or a descriptor, which `stderr` may share; what is written to a pipe is text.
    """

    def __init__(
        self,
        run: Callable[..., object],
        *arguments: object,
        env: Mapping[str, str] | None = None,
        stdin: int | None = None,
        stdout: int | None = None,
        share_stderr: bool = False,
    ) -> None:
        self.stdin: IO[str] | None = None
        self.stdout: IO[str] | None = None
        opened, given = [], {}
        if stdin == PIPE:
            given[0], write = os.pipe()
            opened.append(given[0])
            self.stdin = open(write, "w", encoding="utf-8")  # noqa: SIM115, PTH123
        if stdout == PIPE:
            read, stdout = os.pipe()
            opened.append(stdout)
            self.stdout = open(read, encoding="utf-8")  # noqa: SIM115, PTH123
        if stdout is not None:
            given |= dict.fromkeys((1, 2) if share_stderr else (1,), stdout)
        files = {number: _File(descriptor) for number, descriptor in given.items()}
        environment = dict(os.environ if env is None else env)
        self._process: BaseProcess = fork_context().Process(
            target=_begin, args=(files, environment, run, arguments), daemon=True
        )
        self._process.start()
        for descriptor in opened:
            os.close(descriptor)
        assert self._process.pid is not None
        self.pid = self._process.pid

    def __enter__(self) -> "Forked":
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self.communicate()

    @property
    def returncode(self) -> int | None:
        return self._process.exitcode

    def poll(self) -> int | None:
        return self._process.exitcode

    def wait(self, timeout: float | None = None) -> int:
        self._process.join(timeout)
        if self._process.exitcode is None:
            raise TimeoutExpired(str(self._process), timeout or 0.0)
        return self._process.exitcode

    def communicate(self, said: str = "") -> str:
        """Say this, return what is left of the answer, and wait for the end."""
        if self.stdin is not None:
            with suppress(BrokenPipeError), self.stdin:  # it has ended
                self.stdin.write(said)
        found = ""
        if self.stdout is not None and not self.stdout.closed:
            with self.stdout:
                found = self.stdout.read()
        self.wait()
        return found

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        self._process.kill()


class _File:
    """A descriptor, which is another one in the process that it is sent to."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def __reduce__(self) -> tuple[Callable[..., int], tuple[object]]:
        return _received, (reduction.DupFd(self._descriptor),)


def _received(sent: object) -> int:
    descriptor: int = sent.detach()  # type: ignore[attr-defined]  # it has no public type
    return descriptor


def _begin(
    files: Mapping[int, int], environment: Mapping[str, str], run: Callable[..., object], arguments: tuple[object, ...]
) -> None:
    for number, descriptor in files.items():
        os.dup2(descriptor, number)
    for descriptor in set(files.values()):
        os.close(descriptor)
    if 0 in files:
        sys.stdin = open(0, encoding="utf-8")  # noqa: SIM115  # the parent has closed its own
    os.environ.clear()
    os.environ.update(environment)
    gc.freeze()  # what the parent has imported need not be looked at, and so is not copied
    run(*arguments)
