"""The data plane as a process."""

import os
import signal
import socket
import sys
from pathlib import Path

import orjson
import uvicorn

from mlops_dagster.serving.app import create_app
from mlops_dagster.settings import Settings

# How long requests that are under way may take to end after a SIGTERM.
DRAIN_SECONDS = 20
BACKLOG = 2048
# Scoring, logging and answering take turns at the interpreter, and let go of it a hundred times a batch (each tree,
# each statement): with Python's own 5 ms before one may have it back, they wait for most of the time.
SWITCH_SECONDS = 0.0002


def run(settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT, then finish what was begun; the address is in `MLOPS_HOME/serving.json` meanwhile.

    Raises HomeNotWritableError.
    """
    sys.setswitchinterval(SWITCH_SECONDS)
    app = create_app(settings)
    config = uvicorn.Config(
        app,
        host=settings.host,
        port=settings.port,
        loop="uvloop",
        http="httptools",
        ws="none",
        access_log=False,
        proxy_headers=False,
        server_header=False,
        backlog=BACKLOG,
        timeout_graceful_shutdown=DRAIN_SECONDS,
    )
    # uvicorn raises the signal again when it is done: by then it has done what the signal asks for.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: None)
    address = settings.home / "serving.json"
    try:
        _AnnouncedServer(config, address, app.state.service.process).run()
    finally:
        address.unlink(missing_ok=True)


class _AnnouncedServer(uvicorn.Server):
    """Writes its address to a file once it listens."""

    def __init__(self, config: uvicorn.Config, address: Path, process: str) -> None:
        super().__init__(config)
        self._address = address
        self._process = process

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets=sockets)
        if not self.started:
            return
        host, port = self.servers[0].sockets[0].getsockname()[:2]
        content = {"host": host, "port": port, "pid": os.getpid(), "process": self._process}
        unfinished = self._address.with_suffix(".tmp")
        unfinished.write_bytes(orjson.dumps(content))
        unfinished.replace(self._address)
