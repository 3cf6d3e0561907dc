"""A home with a long history: 10,000 versions of one model, 10,000 alerts and their events."""

import sqlite3
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from mlops_dagster.alerting import Rule, Severity
from mlops_dagster.clock import ReplayedClock, time_text
from mlops_dagster.settings import Settings
from mlops_dagster.stores import Stores

ROWS = 10_000
BEGAN = datetime(2026, 1, 1, tzinfo=UTC)


def long_history(home: Path, model: str) -> Stores:
    """Make it: one row of each kind by the API, the others as copies, a minute later each."""
    clock = ReplayedClock(BEGAN)
    stores = Stores(Settings(home=home), clock, actor="test")
    file = home / "model.txt"
    file.write_text("bytes")
    stores.registry.register(model, file, "1.0.0")
    stores.alerts.report(model, Rule.PSI, Severity.WARNING, "drifted")
    stores.alerts.resolve(model, Rule.PSI, "it is over")
    with sqlite3.connect(home / "mlops.sqlite") as database:
        _multiply(database, "versions", version=lambda number: f"1.0.{number}", created_at=_at)
        _multiply(database, "events", version=lambda number: f"1.0.{number}", at=_at, recorded_at=_at)
        _multiply(database, "alerts", opened_at=_at, last_seen_at=_at, resolved_at=_at)
        _multiply(database, "alert_events", at=_at, recorded_at=_at)
    clock.advance_to(BEGAN + timedelta(minutes=ROWS))
    return stores


def _multiply(database: sqlite3.Connection, table: str, **changed: Callable[[int], Any]) -> None:
    rows = database.execute(f"SELECT * FROM {table} ORDER BY 1 DESC LIMIT 1")  # noqa: S608  # of these four
    names = [column[0] for column in rows.description]
    row = dict(zip(names, rows.fetchone(), strict=True)) | {names[0]: None}
    marks = ", ".join("?" * len(row))
    database.executemany(
        f"INSERT INTO {table} VALUES ({marks})",  # noqa: S608  # of these four
        (
            [changed[name](number) if name in changed else value for name, value in row.items()]
            for number in range(1, ROWS)
        ),
    )


def _at(number: int) -> str:
    return time_text(BEGAN + timedelta(minutes=number))
