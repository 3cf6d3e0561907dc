"""`mlops alerts test`, `outbox` and `retry`, against servers on loopback."""

import json
from pathlib import Path

import pytest

from mlops_dagster.alerting import Rule, Severity
from mlops_dagster.settings import Settings
from mlops_dagster.stores import Stores
from tests.support.channels.pagerduty import PagerDutyServer
from tests.support.channels.stub import on_loopback
from tests.support.program import Mlops

KEY = "canarypagerduty00000000000000000"


def test_a_channel_is_tried_and_what_was_given_up_is_sent_after_it_is_mended(
    home: Path, mlops: Mlops, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "MLOPS_CHANNELS is not set" in mlops("alerts", "test", "oncall").stderr
    server = PagerDutyServer("another")
    with on_loopback(server) as address:
        file = home.parent / "channels.yaml"
        file.write_text(
            f'channels: {{oncall: {{type: pagerduty, routing_key: "${{TEST_PD}}", url: "{address}/v2/enqueue"}}}}\n'
            'routes: [{owner: "team:typo", critical: [oncall]}, {critical: [oncall]}]\n'
        )
        monkeypatch.setenv("MLOPS_CHANNELS", str(file))
        monkeypatch.setenv("TEST_PD", KEY)
        assert "no channel 'chat'" in mlops("alerts", "test", "chat").stderr
        stores = Stores(Settings())
        assert stores.delivery is not None
        stores.alerts.report("churn", Rule.SUITE, Severity.CRITICAL, "nulls 0.6 %")
        stores.delivery.deliver("oncall")
        (dead,) = json.loads(mlops("alerts", "outbox", "--json").stdout)
        assert (dead["state"], dead["error"]) == ("dead", "400 Bad Request (Invalid routing key)")
        assert "retry" in mlops("alerts", "outbox").stderr
        server.key = KEY
        tried = mlops("alerts", "test", "oncall")
        assert "took a test alert" in tried.stdout
        assert "no model has the owner team:typo that a route names" in tried.stderr
        assert not server.open, "the test is over"
        assert json.loads(mlops("alerts", "retry", "--json").stdout) == {"messages": 1}
        stores.delivery.deliver("oncall")
        assert len(server.open) == 1
        assert json.loads(mlops("alerts", "outbox", "--json").stdout) == []
        stores.delivery.close()
