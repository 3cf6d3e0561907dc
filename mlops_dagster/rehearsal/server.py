"""The data plane of a rehearsal, or of a demonstration in real time: the real server, in a separate process."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from mlops_dagster.errors import ServerError

START_SECONDS = 60
STOP_SECONDS = 20


class Address(NamedTuple):
    host: str
    port: int


@contextmanager
def data_plane(home: Path, *, replayed: bool = True) -> Iterator[Address]:
    """Run `mlops serve` on a free port and yield its address; stop it at the end of the block, also after an error.

    `replayed` traffic gives its event times itself. Raises ServerError, with the end of the server's log, if it does
    not come up.
    """
    home.mkdir(parents=True, exist_ok=True)
    log_path = home / "serve.log"
    environment = os.environ | {
        "MLOPS_HOME": str(home),
        "MLOPS_HOST": "127.0.0.1",
        "MLOPS_PORT": "0",
        "MLOPS_ACCEPT_EVENT_TIME": str(replayed).lower(),
        # Batches are small and this process uses the other core: a second thread would only wait for the first.
        "OMP_NUM_THREADS": "1",
    }
    with log_path.open("wb") as log:
        process = subprocess.Popen(  # our own command
            [sys.executable, "-m", "mlops_dagster.cli", "serve"],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # Ctrl-C goes to this process only, which stops the server after the last request
        )
    try:
        yield _wait_until_up(process, home / "serving.json", log_path)
    finally:
        stop(process)


def _wait_until_up(process: "subprocess.Popen[bytes]", address_path: Path, log_path: Path) -> Address:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        if address_path.exists():
            address = json.loads(address_path.read_text())
            if address["pid"] == process.pid:
                return Address(address["host"], address["port"])
        time.sleep(0.05)
    state = "did not come up" if process.poll() is None else f"ended with code {process.returncode}"
    log = log_path.read_text(errors="replace")[-2000:]
    raise ServerError(f"the data plane {state} within {START_SECONDS} s; the end of {log_path}:\n{log}")


def stop(process: "subprocess.Popen[bytes]") -> None:
    """End a server process: with SIGTERM, and after `STOP_SECONDS` with SIGKILL."""
    process.terminate()
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
