"""A worker, a process that answers: `python -m mlops_dagster.serving.processes.worker`, started by the supervisor."""

import asyncio
import faulthandler
import gc
import math
import os
import signal
import socket
import sys
from pathlib import Path

import uvicorn

from mlops_dagster.serving.http.app import create_app
from mlops_dagster.serving.http.connections.acceptor import FairAcceptor
from mlops_dagster.serving.http.connections.connection import Connection
from mlops_dagster.serving.http.connections.front_door import SWEEP_SECONDS, FrontDoor, Limits
from mlops_dagster.serving.http.connections.turns import Turns
from mlops_dagster.serving.processes.at_work import traces
from mlops_dagster.serving.processes.heartbeat import BEAT_SECONDS, ProcessHeartbeat, child_main
from mlops_dagster.serving.telemetry.telemetry import Telemetry
from mlops_dagster.settings import Settings

# The threads of scoring, logging and answering take turns at the interpreter, and release it a hundred times a batch
# (each tree, each statement): with Python's default of 5 ms until a thread gets it back, they wait most of the time.
SWITCH_SECONDS = 0.0002
# A request leaves no cycles behind, so the collector need not run every few requests, as with Python's default of 700.
COLLECT_AFTER = (20_000, 20, 50)


def work(leash: ProcessHeartbeat, arguments: list[str]) -> None:
    """Answer requests until the supervisor lets this process go, or SIGTERM; then finish those under way."""
    name, folder, *numbers = arguments
    descriptor, workers, restarts = map(int, numbers)
    sys.setswitchinterval(SWITCH_SECONDS)
    gc.set_threshold(*COLLECT_AFTER)
    settings = Settings()
    dump, marks = traces(Path(folder), name)
    faulthandler.enable(dump.open("w"))  # the supervisor reads there which thread crashed
    app = create_app(settings, name=name, marks=marks)
    service = app.state.service
    if restarts:
        service.telemetry.restarted("worker")
    config = uvicorn.Config(
        app,
        loop="uvloop",
        http=Connection,
        ws="none",
        access_log=False,
        log_config=None,
        proxy_headers=False,
        server_header=False,
        timeout_graceful_shutdown=math.ceil(settings.drain_seconds),
    )
    # uvicorn raises the signal again after it has shut down, when nothing is left to do.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: None)
    worker = Worker(
        config,
        socket.socket(fileno=descriptor),
        Limits.of(settings),
        leash,
        service.process,
        service.telemetry,
        alone=workers == 1,
    )
    leash.when_let_go(worker.let_go)
    worker.run()


class Worker(uvicorn.Server):
    """A uvicorn server that shares its socket with other workers, gives signs of life, and ends when it is let go."""

    def __init__(
        self,
        config: uvicorn.Config,
        listener: socket.socket,
        limits: Limits,
        leash: ProcessHeartbeat,
        process: str,
        telemetry: Telemetry,
        *,
        alone: bool,
    ) -> None:
        super().__init__(config)
        self._socket = listener
        self._limits = limits
        self._leash = leash
        self._process = process
        self._telemetry = telemetry
        self._alone = alone
        self._listener: FairAcceptor | None = None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:  # noqa: ARG002  # its own is used
        await super().startup(sockets=[])
        loop, connections = asyncio.get_running_loop(), self.server_state.connections
        door, turns = FrontDoor(self._limits, loop.time, self._telemetry.dropped), Turns(loop)

        def protocol() -> Connection:
            return Connection(self.config, self.server_state, self.lifespan.state, door, turns)

        self._listener = FairAcceptor(self._socket, door, connections, protocol, alone=self._alone)
        self._beat()
        self._watch(door)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        if self._listener is not None:
            await self._listener.close()
        await super().shutdown(sockets)

    def let_go(self) -> None:
        """End the process after the requests under way, or at once if it has not started to serve."""
        if not self.started:
            os._exit(0)
        self.should_exit = True

    def _beat(self) -> None:
        """Give signs of life from the event loop, as requests are not answered if the loop hangs."""
        self._leash.beat(self._process)
        asyncio.get_running_loop().call_later(BEAT_SECONDS, self._beat)

    def _watch(self, door: FrontDoor) -> None:
        door.sweep()
        self._telemetry.connected(len(self.server_state.connections))
        asyncio.get_running_loop().call_later(SWEEP_SECONDS, self._watch, door)


if __name__ == "__main__":
    child_main(work)
