"""With a PostgreSQL database the counts that decisions read are there, and the fuse has its own."""

from collections.abc import Iterator, Mapping
from datetime import timedelta
from pathlib import Path

import pytest
from sklearn.pipeline import Pipeline

from mlops_dagster.clock import SystemClock
from mlops_dagster.settings import Settings
from mlops_dagster.wiring import House
from tests.serving.conftest import Models, Server

HOUR = timedelta(hours=1)
MODEL = "shared"


@pytest.fixture
def replicas(
    tmp_path: Path, postgresql: str, estimators: Mapping[tuple[str, float], Pipeline]
) -> Iterator[list[House]]:
    """Two machines' homes; artifacts are in one store."""
    homes = [tmp_path / name for name in ("a", "b")]
    houses = [House(Settings(home=home, database_url=postgresql), actor="test") for home in homes]
    Models(houses[0], estimators).champion(MODEL)
    (homes[1] / "artifacts").symlink_to(homes[0] / "artifacts")
    yield houses
    for house in houses:
        house.registry.close()
        house.rollups.close()


def test_what_two_machines_count_adds_up(replicas: list[House], postgresql: str) -> None:
    servers = [Server(house.settings.home, MLOPS_DATABASE_URL=postgresql) for house in replicas]
    try:
        for requests, (server, house) in enumerate(zip(servers, replicas, strict=True), start=1):
            server.wait_in_force(house, MODEL)
            for _ in range(requests):
                assert server.infer(MODEL).status_code == 200
            server.flush()
    finally:
        codes = [server.stop() for server in servers]
    assert codes == [0, 0]

    now = SystemClock().now()
    window = (now - HOUR, now + HOUR)
    for requests, house in enumerate(replicas, start=1):
        assert [row.counts.requests for row in house.rollups.events(MODEL, *window)] == [3]
        assert [row.counts.requests for row in house.local_rollups.events(MODEL, *window)] == [requests]
        assert house.rollups.feature_counts(MODEL, None, *window)["carrier"].sum() == 3
        assert house.local_rollups.feature_counts(MODEL, None, *window) == {}
        assert house.spool.read(0) == []
