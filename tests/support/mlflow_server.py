"""A server of MLflow."""

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import httpx


class MlflowServer:
    """A real `mlflow server`, which may be killed and started again on the same port and database."""

    def __init__(self, folder: Path) -> None:
        with socket.create_server(("127.0.0.1", 0)) as probe:
            port = probe.getsockname()[1]
        self.address = f"http://127.0.0.1:{port}"
        self.uri = f"mlflow://127.0.0.1:{port}"
        self._log = folder / "log"
        self._command = [
            *(str(Path(sys.executable).parent / "mlflow"), "server", "--host", "127.0.0.1", "--port", str(port)),
            *("--backend-store-uri", f"sqlite:///{folder}/mlflow.db", "--artifacts-destination", f"{folder}/artifacts"),
            *("--workers", "1"),
        ]
        self._process: subprocess.Popen[bytes] | None = None

    def launch(self) -> None:
        """Begin to start; `wait` for the end of it."""
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(self._command, stdout=log, stderr=log, start_new_session=True)

    def wait(self) -> None:
        """Return when it answers."""
        deadline = time.monotonic() + 120
        while not self._answers():
            if self._process is None or self._process.poll() is not None or time.monotonic() > deadline:
                raise AssertionError(f"no MLflow server: {self._log.read_text()}")
            time.sleep(0.1)

    def kill(self) -> None:
        """The server and its workers, at once."""
        if self._process is not None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            self._process = None

    def _answers(self) -> bool:
        try:
            return httpx.get(f"{self.address}/health", timeout=5).is_success
        except httpx.HTTPError:
            return False
