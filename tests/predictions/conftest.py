from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from mlops_dagster.predictions import PredictionLog, PredictionRecord, Spool

MARCH = datetime(2013, 3, 1, tzinfo=UTC)


def a_record(number: int, **changes: Any) -> PredictionRecord:
    """The flight of minute `number` after 1 March 2013, answered by champion 1.0.0 unless changed."""
    values: dict[str, Any] = {
        "prediction_id": f"p{number}",
        "request": f"r{number}",
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


@pytest.fixture(params=["folder", "S3"])
def address(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Where a log may be kept: each test that asks for it runs on both."""
    if request.param == "folder":
        return str(tmp_path / "log")
    return f"s3://{request.getfixturevalue('s3')}/logs/mlops"


@pytest.fixture
def log(address: str) -> PredictionLog:
    return PredictionLog(address)
