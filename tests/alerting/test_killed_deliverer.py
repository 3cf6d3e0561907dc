"""Real processes that deliver are killed at random moments, over connections that break; servers are on loopback."""

import shutil
from pathlib import Path

import pytest

from mlops_dagster.settings import Settings
from mlops_dagster.stores import Stores
from tests.support.channels.survival import alerts_and_kills, finish, vendors


def test_two_hundred_alerts_survive_kill_9_and_cut_connections(
    empty: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copy(empty, tmp_path)
    with vendors(tmp_path, seed=21) as there:
        for name, text in there.variables.items():
            monkeypatch.setenv(name, text)
        stores = Stores(Settings())
        sent = alerts_and_kills(stores, there.variables, alerts=200, kills=12, seed=21)
        there.storm.over = True
        finish(stores)
        assert there.faults(stores) == []
        assert sent, "nothing was sent before: the test would prove nothing"
