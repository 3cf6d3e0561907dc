"""A control room in this process, which shows what a test wants it to show."""

import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from starlette.types import ASGIApp

from mlops_dagster.board.app import create_app
from mlops_dagster.board.server import server
from mlops_dagster.board.snapshot.entities import ExplainedDecision, Snapshot
from mlops_dagster.errors import NotFoundError
from mlops_dagster.settings import Settings
from mlops_dagster.stores import Stores
from tests.support.board import explained, past


class Shown:
    """A source of one snapshot, which a test may replace at any time."""

    def __init__(self, now: Snapshot) -> None:
        self.now = now
        self.asked: list[tuple[datetime | None, int, str | None]] = []

    def look(self, at: datetime | None = None, *, page: int = 1, model: str | None = None) -> Snapshot:
        self.asked.append((at, page, model))
        return self.now if at is None else past()

    def explain(self, decision: int, other: Mapping[str, str]) -> ExplainedDecision:
        if decision != 217:
            raise NotFoundError(f"no decision {decision}")
        return explained(other=bool(other))


def app_of(home: Path, shown: Shown, **settings: object) -> ASGIApp:
    return create_app(Stores(Settings(home=home, **settings)), shown.look, shown.explain)  # type: ignore[arg-type]  # as in the environment


@contextmanager
def serving(app: ASGIApp, port: int = 0) -> Iterator[str]:
    """Serve the app on a thread, on a free port unless one is named, and give its address."""
    running = server(app)
    with socket.create_server(("127.0.0.1", port)) as listener:
        thread = threading.Thread(target=running.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            running.should_exit = running.force_exit = True
            thread.join(timeout=10)
