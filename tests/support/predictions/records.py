"""Predictions of a test, as the data plane would record them."""

from datetime import UTC, datetime, timedelta
from typing import Any

from mlops_dagster.predictions import PredictionRecord

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
