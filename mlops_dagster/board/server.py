"""The web server of the control room."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import uvicorn
from starlette.types import ASGIApp

from mlops_dagster.access.listening import listen

_END_SECONDS = 10
_VARIABLES = "MLOPS_BOARD_HOST and MLOPS_BOARD_PORT"


def run(app: ASGIApp, host: str, port: int, ready: Callable[[str], object]) -> None:
    """Serve the app on `host` and `port` until SIGTERM or Ctrl-C; `ready` is called with its address first.

    Port 0 picks a free one. Raises ServerError if the address cannot be listened on.
    """
    with listen(host, port, _VARIABLES) as listener, suppress(KeyboardInterrupt):
        shown = f"[{host}]" if ":" in host else host
        ready(f"http://{shown}:{listener.getsockname()[1]}/")
        _server(app).run(sockets=[listener])


@contextmanager
def serving(app: ASGIApp, port: int = 0) -> Iterator[str]:
    """Serve the app to this machine on a thread during the block, and yield its address, which does not end in a slash.

    Port 0 picks a free one. Raises ServerError if the port cannot be listened on.
    """
    server = _server(app)
    with listen("127.0.0.1", port, _VARIABLES) as listener:
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = server.force_exit = True
            thread.join(timeout=_END_SECONDS)


def _server(app: ASGIApp) -> uvicorn.Server:
    return uvicorn.Server(uvicorn.Config(app, log_level="warning", lifespan="off", server_header=False))
