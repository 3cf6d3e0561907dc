"""The supervisor of the data plane: the process that starts the others, replaces those that die, and ends them."""

import contextlib
import errno
import logging
import os
import select
import signal
import socket
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import orjson

from mlops_dagster.access import Access
from mlops_dagster.access.listening import listen
from mlops_dagster.access.token_store import TokenStore
from mlops_dagster.alerting.routing.checking import check_channels
from mlops_dagster.database import set_aside_if_damaged
from mlops_dagster.errors import InvalidInputError, ServerError
from mlops_dagster.serving.http.connections.front_door import raise_descriptor_limit
from mlops_dagster.serving.processes.child import Child
from mlops_dagster.serving.processes.heartbeat import ProcessHeartbeat, log_to_stderr
from mlops_dagster.serving.processes.home_lock import only_server
from mlops_dagster.serving.processes.inquest import Inquest
from mlops_dagster.serving.telemetry.process import forget
from mlops_dagster.settings import Settings
from mlops_dagster.storage.addresses import check_log_address
from mlops_dagster.storage.home import make_writable

logger = logging.getLogger(__name__)

LAST_SHIP_SECONDS = 30
"""The time that the housekeeper has at the end; entries that it does not ship wait in the spool for the next one."""

_BACKLOG = 2048
_LOOK_SECONDS = 0.1
_AFTER_DRAIN_SECONDS = 2.0  # for a worker to end after its requests were given up; then it is killed
_ADDRESS_SECONDS = 5.0  # for the workers of a killed supervisor to release the address


def run(settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT, then finish the requests under way.

    The address is in `MLOPS_HOME/serving.json` meanwhile.
    Raises HomeNotWritableError; InvalidInputError, also for a file of channels that cannot be used; RefusedError where
    others could reach the data plane without a token; AlreadyRunningError for a home that is served already; and
    ServerError for an address that is taken or a worker that cannot start.
    """
    if settings.workers > 1 and settings.accept_event_time:
        raise InvalidInputError(
            f"MLOPS_ACCEPT_EVENT_TIME needs one worker, not {settings.workers}: the clock that the requests set is "
            "a worker's own; set MLOPS_WORKERS=1"
        )
    check_log_address(settings.log)
    make_writable(settings.home)
    with contextlib.closing(TokenStore(settings)) as tokens:  # closed: a connection must not outlive a fork
        tokens.copy_before_start()
    Access(settings, settings.host)
    if settings.channels is not None:
        check_channels(settings.channels, settings.database)
    raise_descriptor_limit()
    log_to_stderr()
    with (
        only_server(settings),
        listening(settings) as listener,
        tempfile.TemporaryDirectory(prefix="mlops-metrics-") as metrics,
    ):
        set_aside_if_damaged(settings.local_rollups_path)
        Supervisor(settings, listener, Path(metrics)).run()


class Supervisor:
    """The supervisor of one housekeeper and some workers, which it holds by pipes, so that none of them outlives it."""

    def __init__(self, settings: Settings, listener: socket.socket, metrics: Path) -> None:
        self._settings = settings
        self._listener = listener
        self._metrics = metrics
        self._signs, self._told = os.pipe()
        self._stopping = False
        self._announced: list[str] = []
        # The workers are let go first: the housekeeper then ships their last answers.
        work, keep = os.pipe(), os.pipe()
        self._holding_workers, self._holding_housekeeper = work[1], keep[1]
        os.set_blocking(self._told, False)  # a process must never wait for its supervisor
        count = str(settings.workers)
        fileno = listener.fileno()
        self._inquest = Inquest(metrics, settings.trials_path)
        given = [str(metrics), str(fileno), count]
        self._workers = [
            self._child(f"worker-{n}", "processes.worker", ProcessHeartbeat(work[0], self._told), given, [fileno])
            for n in range(1, settings.workers + 1)
        ]
        self._housekeeper = self._child(
            "housekeeper", "upkeep.housekeeper", ProcessHeartbeat(keep[0], self._told), [], []
        )

    def run(self) -> None:
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._stop)
        try:
            for child in (*self._workers, self._housekeeper):
                child.start()
            while not self._stopping:
                self._hear(_LOOK_SECONDS)
                self._look_after()
        finally:
            self._end()
            self._settings.address_path.unlink(missing_ok=True)

    def _child(
        self, name: str, module: str, leash: ProcessHeartbeat, arguments: list[str], descriptors: list[int]
    ) -> Child:
        return Child(
            name,
            [f"mlops_dagster.serving.{module}", *leash.arguments(), name, *arguments],
            (leash.held, leash.signs, *descriptors),
            {"PROMETHEUS_MULTIPROC_DIR": str(self._metrics)},
        )

    def _stop(self, *_: object) -> None:
        self._stopping = True
        with contextlib.suppress(BlockingIOError):
            os.write(self._told, b"\n")  # wakes `_hear` at once

    def _hear(self, seconds: float) -> None:
        """Take note of the signs of life that arrive within `seconds`."""
        ready, _, _ = select.select([self._signs], [], [], seconds)
        if not ready:
            return
        children = {child.pid: child for child in (*self._workers, self._housekeeper)}
        # Lines are shorter than a pipe's atomic unit, so each one is whole; the last of a full read may be cut.
        for line in os.read(self._signs, 1 << 16).splitlines():
            with contextlib.suppress(orjson.JSONDecodeError):
                sign = orjson.loads(line)
                if sign["pid"] in children:
                    children[sign["pid"]].lives(sign["process"])

    def _look_after(self) -> None:
        for child in (*self._workers, self._housekeeper):
            if child.is_silent(self._settings.hang_seconds):
                child.kill(f"it gave no sign of life for {self._settings.hang_seconds:g} s")
            code = child.ended()
            if code is None:
                continue
            forget(self._metrics, child.name)
            if child is not self._housekeeper and child.died_just_now():
                known = self._inquest.hold(child.name, code, hung=child.killed)
                if not self._announced and not known:
                    raise ServerError(f"{child.name} ended with code {code} before it served; its last words tell why")
            child.restart_if_due(code)
        processes = [child.process for child in self._workers if child.process is not None]
        if processes != self._announced and len(processes) == len(self._workers):
            self._announce(processes)

    def _announce(self, processes: list[str]) -> None:
        host, port = self._listener.getsockname()[:2]
        content = {"host": host, "port": port, "pid": os.getpid(), "processes": processes}
        unfinished = self._settings.address_path.with_suffix(".tmp")
        try:
            unfinished.write_bytes(orjson.dumps(content))
            unfinished.replace(self._settings.address_path)
        except OSError as error:
            if not self._announced:
                raise ServerError(f"cannot write {self._settings.address_path}: {error.strerror}") from error
            return  # a full disk: the next round tries again, and the old address still holds
        self._announced = processes
        logger.info("serving on %s port %d", host, port)

    def _end(self) -> None:
        """Stop accepting, wait for requests under way, and then for the housekeeper to count and ship the rest."""
        self._listener.close()
        os.close(self._holding_workers)
        _wait_for(self._workers, self._settings.drain_seconds + _AFTER_DRAIN_SECONDS)
        if self._housekeeper.ended() is not None and self._announced:
            self._housekeeper.start()  # it died a moment ago, and the last entries must be shipped
        os.close(self._holding_housekeeper)
        _wait_for([self._housekeeper], LAST_SHIP_SECONDS)


def _wait_for(children: list[Child], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    for child in children:
        if not child.wait(deadline - time.monotonic()):
            child.kill(f"it did not end within {seconds:g} s")
            child.wait(None)


@contextmanager
def listening(settings: Settings) -> Iterator[socket.socket]:
    """Open the socket on which all workers accept; connections wait in its queue until the first worker accepts.

    On `::` it takes connections over IPv4 too. Raises ServerError.
    """
    with _bind(settings) as listener:
        listener.setblocking(False)
        yield listener


def _bind(settings: Settings) -> socket.socket:
    deadline = time.monotonic() + _ADDRESS_SECONDS
    while True:
        try:
            return listen(settings.host, settings.port, "MLOPS_HOST and MLOPS_PORT", _BACKLOG)
        except ServerError as error:
            in_use = isinstance(error.__cause__, OSError) and error.__cause__.errno == errno.EADDRINUSE
            if not in_use or time.monotonic() >= deadline:
                raise
            time.sleep(_LOOK_SECONDS)
