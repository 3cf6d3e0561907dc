from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from mlops_dagster.predictions import PredictionRecord, Spool

MARCH = datetime(2013, 3, 1, tzinfo=UTC)


def a_record(number: int, **changes: Any) -> PredictionRecord:
    """The flight of minute `number` after 1 March 2013, answered by champion 1.0.0 unless changed."""
    values: dict[str, Any] = {
        "prediction_id": f"p{number}",
        "model": "flights",
        "version": "1.0.0",
        "role": "champion",
        "weight": 1.0,
        "epoch": 1,
        "salt": "salt",
        "key": None,
        "event_time": MARCH + timedelta(minutes=number),
        "received_at": MARCH + timedelta(days=5000),
        "status": "ok",
        "error": None,
        "features": {"hour": float(number % 24), "carrier": "UA"},
        "prediction": "late",
        "score": 0.75,
        "latency_ms": 5.0,
        "process": "process-1",
        "row": 0,
    }
    return PredictionRecord(**{**values, **changes})


@pytest.fixture(scope="session")
def record() -> Callable[..., PredictionRecord]:
    return a_record


@pytest.fixture(scope="session")
def march() -> datetime:
    return MARCH


@pytest.fixture
def spool(tmp_path: Path) -> Spool:
    return Spool(tmp_path / "spool.sqlite")
