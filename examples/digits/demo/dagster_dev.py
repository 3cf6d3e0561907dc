"""`dagster dev` for this project, in a process of its own, and runs launched in it as the UI launches them."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import dagster as dg
import httpx
from dagster_graphql import DagsterGraphQLClient, DagsterGraphQLClientError

from mlops_dagster.dev import dagster_home
from mlops_dagster.errors import ServerError
from mlops_dagster.rehearsal.orchestrator.instance import environment
from mlops_dagster.rehearsal.server import stop

PROJECT = Path(__file__).parents[1]
START_SECONDS = 120


@dataclass(frozen=True)
class Dagster:
    """A running `dagster dev`."""

    port: int
    instance: dg.DagsterInstance
    process: "subprocess.Popen[bytes]"
    log: Path

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def check(self) -> None:
        """Raises ServerError, with the end of its log, if it has ended."""
        if self.process.poll() is not None:
            end = self.log.read_text(errors="replace")[-2000:]
            raise ServerError(f"dagster dev ended with code {self.process.returncode}; the end of {self.log}:\n{end}")

    def runs(self, job: str | None = None) -> Sequence[dg.DagsterRun]:
        """Of that job, or all; the newest first."""
        return self.instance.get_runs(None if job is None else dg.RunsFilter(job_name=job))

    def has_run(self, run_id: str) -> bool:
        """To its successful end."""
        run = self.instance.get_run_by_id(run_id)
        return run is not None and run.is_success

    def launch(self, job: str, run_config: Mapping[str, object]) -> str:
        """Launch a run of `job`; returns its id. Raises ServerError if Dagster refuses it."""
        client = DagsterGraphQLClient("127.0.0.1", port_number=self.port)
        try:
            return client.submit_job_execution(job, run_config=run_config)
        except DagsterGraphQLClientError as error:
            raise ServerError(f"dagster dev does not run {job}: {error.args}; see {self.log}") from error


@contextmanager
def dagster_dev(home: Path) -> Iterator[Dagster]:
    """Web server, daemon and code server on a free port, with an instance in `home`; ended with the block.

    Raises ServerError if they do not come up.
    """
    folder, log = home / "dagster", home / "dagster.log"
    port = _free_port()
    with environment(DAGSTER_HOME=str(folder)):
        dagster_home(home)
    command = [sys.executable, "-m", "dagster", "dev", "-w", "workspace.yaml"]
    with environment(DAGSTER_HOME=str(folder)), log.open("wb") as output:
        process = subprocess.Popen(  # our own command
            [*command, "-h", "127.0.0.1", "-p", str(port)],
            cwd=PROJECT,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # Ctrl-C is for us
        )
    try:
        with dg.DagsterInstance.from_config(str(folder)) as instance:
            found = Dagster(port, instance, process, log)
            _wait_until_up(found)
            yield found
    finally:
        stop(process)
        with suppress(ProcessLookupError):  # whom a dagster dev that ended by force leaves behind
            os.killpg(process.pid, signal.SIGKILL)


def _wait_until_up(dagster: Dagster) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        dagster.check()
        with suppress(httpx.TransportError):
            if httpx.get(f"{dagster.url}/server_info").is_success:
                return
        time.sleep(0.5)
    raise ServerError(f"dagster dev is not up after {START_SECONDS} s; see {dagster.log}")


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return int(listening.getsockname()[1])
