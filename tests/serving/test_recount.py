"""Rollups that are lost come back by themselves when serving starts, and the audit says that they are missing."""

import json
import logging
from datetime import timedelta

import pytest
from typer.testing import CliRunner

from mlops_dagster.cli.main import app
from mlops_dagster.database import set_aside_if_damaged
from mlops_dagster.serving.deployed.registry_cache import RegistryCache
from mlops_dagster.serving.telemetry.telemetry import Telemetry
from mlops_dagster.serving.upkeep.shipping import Shipper
from mlops_dagster.settings import Settings
from mlops_dagster.stores import Stores
from tests.support.predictions.records import MARCH, a_record


def opened(settings: Settings) -> tuple[Stores, Shipper]:
    stores = Stores(settings)
    return stores, Shipper(stores, RegistryCache(settings.last_known_path), Telemetry())


def requests(stores: Stores) -> int:
    (champion,) = stores.local_rollups.events("flights", MARCH, MARCH + timedelta(days=1))
    return champion.counts.requests


def run(*command: str) -> tuple[int, dict[str, object]]:
    result = CliRunner().invoke(app, [*command, "--json"])
    return result.exit_code, json.loads(result.output)


@pytest.mark.parametrize("how", ["deleted", "cut", "no database", "a bad page"])
def test_lost_rollups_come_back_at_the_next_start(tmp_path, monkeypatch, caplog, how):
    monkeypatch.setenv("MLOPS_HOME", str(tmp_path))
    settings = Settings()
    stores, housekeeping = opened(settings)
    stores.spool.append([a_record(number) for number in range(20)])
    housekeeping.flush(log=True)
    stores.spool.append([a_record(number) for number in range(20, 30)])
    housekeeping.roll_up()
    assert requests(stores) == 30
    assert run("predictions", "audit")[0] == 0
    stores.local_rollups.close()

    content = bytearray(settings.local_rollups_path.read_bytes())
    for file in tmp_path.glob("rollups.sqlite*"):
        file.unlink()
    if how == "a bad page":
        content[4096:8192] = b"\xff" * 4096
    damaged = {"cut": b"", "no database": b"\0" * 20_000, "a bad page": content}
    if how in damaged:
        settings.local_rollups_path.write_bytes(damaged[how])
    with caplog.at_level(logging.WARNING):
        set_aside_if_damaged(settings.local_rollups_path)  # as the supervisor does
        code, report = run("predictions", "audit")
        assert (code, report["complete"]) == (1, False)
        assert "`mlops predictions recount`" in str(report["problems"])
        stores, housekeeping = opened(settings)
        housekeeping.roll_up()
    assert "counted again from the log" in caplog.text
    assert requests(stores) == 30
    assert run("predictions", "audit")[0] == 0
    assert run("predictions", "recount") == (0, {"predictions": 30, "labels": 0, "left_out": {}})
    assert requests(Stores(settings)) == 30
