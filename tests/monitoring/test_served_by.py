"""Reports of a time in the past are about who answered then, also where that was replayed later."""

from datetime import datetime, timedelta
from pathlib import Path

import pytest

from mlops_dagster.clock import ReplayedClock
from mlops_dagster.monitoring.served_by import served_by
from mlops_dagster.predictions import Role
from mlops_dagster.registry import Stage
from mlops_dagster.settings import Settings
from mlops_dagster.stores import Stores
from tests.support.predictions.records import MARCH, a_record
from tests.support.serving.data_plane import CARD

HOUR = timedelta(hours=1)
MODEL = "shop"


@pytest.fixture
def stores(tmp_path: Path) -> Stores:
    """Versions 1.0.0, champion since noon of 1 March, and 1.1.0, since noon of the next day."""
    clock = ReplayedClock(MARCH)
    stores = Stores(Settings(home=tmp_path), clock, actor="test")
    for day, name in enumerate(("1.0.0", "1.1.0")):
        clock.advance_to(MARCH + timedelta(days=day, hours=12))
        (tmp_path / "model.onnx").write_text(name)
        version = stores.registry.register(MODEL, tmp_path / "model.onnx", name, card=CARD)
        stores.registry.transition(version, Stage.PRODUCTION)
    return stores


def answered(stores: Stores, at: datetime, version: str, rows: int, role: Role = "champion") -> None:
    first = (at - MARCH) // timedelta(minutes=1)
    stores.spool.append([a_record(first + n % 50, model=MODEL, version=version, role=role) for n in range(rows)])
    stores.rollups.catch_up(stores.spool, lambda _model, _version: None)


def served(stores: Stores, since: datetime, until: datetime) -> str | None:
    found = served_by(stores.registry, stores.rollups, MODEL, since, until)
    return None if found is None else found.version


def test_who_served_is_the_champion_at_the_end_of_the_window(stores: Stores) -> None:
    noon, day = MARCH + 12 * HOUR, timedelta(days=1)
    answered(stores, noon + day - 2 * HOUR, "1.0.0", 5)
    assert served(stores, noon, noon + HOUR) == "1.0.0"
    assert served(stores, noon + day - 2 * HOUR, noon + day) == "1.1.0", "promoted at its end, and asked by nobody yet"
    assert served(stores, noon - HOUR, noon - timedelta(minutes=1)) is None


def test_history_that_was_replayed_later_was_answered_by_who_was_champion_at_the_replay(stores: Stores) -> None:
    before, during = MARCH + HOUR, MARCH + 20 * HOUR
    for hour in (before, during):
        answered(stores, hour, "1.1.0", 40)
        answered(stores, hour, "1.0.0", 60, role="shadow")
        assert served(stores, hour, hour + HOUR) == "1.1.0"
    answered(stores, during, "1.0.0", 1)
    assert served(stores, during, during + HOUR) == "1.0.0", "the registry's word, which the log agrees with"


def test_nobody_served_a_model_that_nobody_has_registered(stores: Stores) -> None:
    assert served_by(stores.registry, stores.rollups, "nope", MARCH, MARCH + HOUR) is None
