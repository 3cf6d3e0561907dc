"""Processes that are forked from one which has imported the product: a start takes a tenth of the CPU."""

import multiprocessing
import os
import subprocess
import sys
from collections.abc import Callable
from functools import cache
from multiprocessing import forkserver
from multiprocessing.context import ForkServerContext
from multiprocessing.process import BaseProcess

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
def _context() -> ForkServerContext:
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
    """A process that runs a function of a module, with the methods of `subprocess.Popen`."""

    def __init__(self, run: Callable[..., object], *arguments: object) -> None:
        self._process: BaseProcess = _context().Process(target=run, args=arguments, daemon=True)
        self._process.start()
        assert self._process.pid is not None
        self.pid = self._process.pid

    @property
    def returncode(self) -> int | None:
        return self._process.exitcode

    def poll(self) -> int | None:
        return self._process.exitcode

    def wait(self, timeout: float | None = None) -> int:
        self._process.join(timeout)
        if self._process.exitcode is None:
            raise subprocess.TimeoutExpired(str(self._process), timeout or 0.0)
        return self._process.exitcode

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        self._process.kill()
