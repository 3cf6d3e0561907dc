"""A real HAProxy in front of data planes: round robin with health checks, which knows nothing of models or ids."""

import contextlib
import itertools
import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx

from tests.support.serving.data_plane import Server, eventually
from tests.support.serving.prometheus import free_port

SLOTS = 4

_CONFIGURATION = """
global
    stats socket {socket} level admin
defaults
    mode http
    timeout connect 1s
    timeout client 30s
    timeout server 30s
    retries 3
    option redispatch
frontend front
    bind 127.0.0.1:{port}
    default_backend planes
backend planes
    balance roundrobin
    option httpchk GET /v2/health/ready
    default-server check inter 100ms fall 1 rise 1 disabled
"""


class Balancer:
    """Deals each request to the next data plane that is ready."""

    def __init__(self, port: int, commands: Path) -> None:
        self.port = port
        self._commands = commands
        self._free = itertools.count()
        self._slots: dict[Server, int] = {}
        self.client = httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30)

    def add(self, server: Server) -> None:
        slot = self._slots[server] = next(self._free)
        self._say(f"set server planes/s{slot} addr 127.0.0.1 port {server.address['port']}")
        self._say(f"enable health planes/s{slot}")
        self._say(f"set server planes/s{slot} state ready")
        eventually(lambda: self._is_up(slot))

    def drain(self, server: Server) -> None:
        """Deal it no new request."""
        self._say(f"set server planes/s{self._slots.pop(server)} state maint")

    def _is_up(self, slot: int) -> bool:
        lines = self._say("show stat").splitlines()
        return any(line.startswith(f"planes,s{slot},") and ",UP," in line for line in lines)

    def _say(self, command: str) -> str:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(str(self._commands))
            connection.sendall(command.encode() + b"\n")
            return b"".join(iter(lambda: connection.recv(1 << 16), b"")).decode()


@contextlib.contextmanager
def balancer(folder: Path) -> Iterator[Balancer]:
    """A balancer without a data plane; `folder` must have a short path."""
    port, commands = free_port(), folder / "haproxy.sock"
    slots = "".join(f"    server s{number} 127.0.0.1:1\n" for number in range(SLOTS))
    configuration = folder / "haproxy.cfg"
    configuration.write_text(_CONFIGURATION.format(socket=commands, port=port) + slots)
    program = shutil.which("haproxy", path=f"{os.environ['PATH']}:/usr/sbin")
    assert program, "`make haproxy` installs it"
    with subprocess.Popen([program, "-f", configuration], stderr=subprocess.PIPE, text=True) as process:
        try:
            eventually(lambda: process.poll() is not None or commands.exists())
            assert process.poll() is None, process.stderr and process.stderr.read()
            found = Balancer(port, commands)
            with found.client:
                yield found
        finally:
            process.kill()
