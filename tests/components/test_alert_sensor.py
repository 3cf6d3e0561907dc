"""The sensor that watches the fleet, in Dagster."""

from datetime import timedelta
from pathlib import Path

import dagster as dg
import pytest

from mlops_dagster.alerting import DELIVERY_BEAT, Rule, Severity
from mlops_dagster.components import Platform
from mlops_dagster.defs.alert_delivery import alert_delivery
from mlops_dagster.defs.alerts import alerts
from mlops_dagster.settings import Settings
from mlops_dagster.stores import Stores
from tests.support.channels.pagerduty import KEY, PagerDutyServer
from tests.support.channels.stub import on_loopback


def test_it_says_what_it_has_judged(tmp_path: Path) -> None:
    with (
        dg.instance_for_test() as instance,
        dg.build_sensor_context(instance, resources={"platform": Platform(home=str(tmp_path))}) as context,
    ):
        evaluated = alerts.evaluate_tick(context)
    assert evaluated.skip_message == "0 rules of 0 models judged: 0 alerts opened, 0 resolved"


def test_young_messages_are_left_to_a_data_plane_only_while_it_delivers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pager = PagerDutyServer()
    with on_loopback(pager) as address, dg.instance_for_test() as instance:
        file = tmp_path / "channels.yaml"
        file.write_text(
            f'channels: {{oncall: {{type: pagerduty, routing_key: "${{TEST_PD}}", url: "{address}/v2/enqueue"}}}}\n'
            "routes: [{critical: [oncall]}]\n"
        )
        monkeypatch.setenv("MLOPS_CHANNELS", str(file))
        monkeypatch.setenv("TEST_PD", KEY)
        stores = Stores(Settings(home=tmp_path))
        stores.alerts.report("churn", Rule.SUITE, Severity.CRITICAL, "nulls 0.6 %")
        said = []
        for due_within in (timedelta(minutes=1), timedelta()):  # it delivers; it should have long ago
            stores.beats.beat(DELIVERY_BEAT, due_within)
            with dg.build_sensor_context(instance, resources={"platform": Platform(home=str(tmp_path))}) as context:
                said.append(alert_delivery.evaluate_tick(context).skip_message)
        assert said == ["0 messages sent", "1 message sent"]
        assert len(pager.open) == 1
        assert "sensor:alert_delivery" in {beat.name for beat in stores.beats.list()}
