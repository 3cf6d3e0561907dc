"""The web server of the control room."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import uvicorn
from starlette.types import ASGIApp

from mlops_dagster.errors import ServerError

_END_SECONDS = 10


def run(app: ASGIApp, host: str, port: int, ready: Callable[[str], object]) -> None:
    """Serve the app on `host` and `port` until SIGTERM or Ctrl-C; `ready` is called with its address first.

    Port 0 picks a free one. Raises ServerError if the address cannot be listened on.
    """
    with _listening(host, port) as listener, suppress(KeyboardInterrupt):
        shown = f"[{host}]" if ":" in host else host
        ready(f"http://{shown}:{listener.getsockname()[1]}/")
        _server(app).run(sockets=[listener])


@contextmanager
def serving(app: ASGIApp, port: int = 0) -> Iterator[str]:
    """Serve the app to this machine on a thread during the block, and yield its address, which does not end in a slash.

    Port 0 picks a free one. Raises ServerError if the port cannot be listened on.
    """
    server = _server(app)
    with _listening("127.0.0.1", port) as listener:
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = server.force_exit = True
            thread.join(timeout=_END_SECONDS)


def _server(app: ASGIApp) -> uvicorn.Server:
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
