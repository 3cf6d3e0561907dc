"""What of Dagster has stopped is told by the sensor that watches the fleet."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

import dagster as dg

from mlops_dagster.alerting import FLEET
from mlops_dagster.components.sensors.health import dagster_troubles
from mlops_dagster.loop.watching.watchers import LOOK, watch_watchers
from mlops_dagster.settings import Settings
from mlops_dagster.stores import Stores


def instance(*, healthy: bool, ticks: list[bool]) -> SimpleNamespace:
    """Stands in for Dagster's instance: daemons that are needed, one that is not, a sensor with its last ticks."""
    daemons = {
        "SENSOR": SimpleNamespace(required=True, healthy=True),
        "SCHEDULER": SimpleNamespace(required=True, healthy=healthy),
        "BACKFILL": SimpleNamespace(required=False, healthy=False),
    }
    state = SimpleNamespace(instigator_origin_id="o", selector_id="s", instigator_name="limits", is_running=True)
    return SimpleNamespace(
        get_daemon_statuses=lambda: daemons,
        all_instigator_state=lambda instigator_type: [state],
        get_ticks=lambda _origin, _selector, limit: [SimpleNamespace(is_failure=each) for each in ticks[:limit]],
    )


def test_a_daemon_without_a_sign_of_life_and_a_sensor_that_only_fails_are_named() -> None:
    assert dagster_troubles(instance(healthy=True, ticks=[True, True, False])) == {}
    assert dagster_troubles(instance(healthy=True, ticks=[True, True])) == {}, "a young sensor"
    found = dagster_troubles(instance(healthy=False, ticks=[True, True, True, False]))
    assert list(found) == ["daemon SCHEDULER", "sensor limits"]


def test_without_a_daemon_nobody_is_missed() -> None:
    with dg.instance_for_test() as rehearsed:
        assert dagster_troubles(rehearsed) is None


def test_a_look_is_a_sign_of_life_and_tells_of_others(tmp_path: Path) -> None:
    stores = Stores(Settings(home=tmp_path), actor="test")
    now = datetime.now(UTC)
    watch_watchers(stores, now, timedelta(minutes=1), {"sensor limits": "it fails"})
    assert [beat.name for beat in stores.beats.list()] == [LOOK]
    assert [alert.subject for alert in stores.alerts.list(FLEET)] == ["dagster:sensor limits"]
    watch_watchers(stores, now + timedelta(minutes=6), timedelta(minutes=1), {})
    assert [alert.subject for alert in stores.alerts.list(FLEET)] == [LOOK], "by the clock of this look"
