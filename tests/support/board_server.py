"""A control room in this process, which shows what a test wants it to show."""

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

from starlette.types import ASGIApp

from mlops_dagster.board.app import create_app
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
