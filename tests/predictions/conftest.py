"""Fixtures."""

from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import pytest

from mlops_dagster.predictions import PredictionLog, PredictionRecord, Spool
from tests.support.predictions.records import MARCH, a_record


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
