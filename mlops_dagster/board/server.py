"""The web server of the control room."""

import socket
from collections.abc import Callable

import uvicorn
from starlette.types import ASGIApp

from mlops_dagster.errors import ServerError


def run(app: ASGIApp, host: str, port: int, ready: Callable[[str], object]) -> None:
    """Serve the app on `host` and `port` until SIGTERM or Ctrl-C; `ready` is called with its address first.

    Port 0 picks a free one. Raises ServerError if the address cannot be listened on.
    """
    with _listening(host, port) as listener:
        shown = f"[{host}]" if ":" in host else host
        ready(f"http://{shown}:{listener.getsockname()[1]}/")
        server(app).run(sockets=[listener])


def server(app: ASGIApp) -> uvicorn.Server:
    """Return the server of the app, without listeners."""
    return uvicorn.Server(uvicorn.Config(app, log_level="warning", lifespan="off", server_header=False))


def _listening(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server(
            (host, port), family=family, dualstack_ipv6=host == "::" and socket.has_dualstack_ipv6()
        )
    except OSError as error:
        raise ServerError(
            f"cannot listen on {host} port {port}: {error.strerror}; "
            "set MLOPS_BOARD_HOST and MLOPS_BOARD_PORT to an address of this machine that is free"
        ) from error
