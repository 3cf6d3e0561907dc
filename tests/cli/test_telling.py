"""`mlops alerts test`, `outbox` and `retry`, against servers on loopback that repeat every secret they are given."""

import base64
import json
import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from mlops_dagster.alerting import Rule, Severity
from mlops_dagster.settings import Settings
from mlops_dagster.stores import Stores
from tests.support.channels.pagerduty import PagerDutyServer
from tests.support.channels.stub import Asked, Reply, on_loopback
from tests.support.program import Mlops

SECRETS = {
    "TEST_PD": "canarypagerduty00000000000000000",
    "TEST_GH": "ghp_canarygithub",
    "TEST_HOOK": "whsec_" + base64.b64encode(b"canary-of-the-hook-0").decode(),
    "TEST_HOOK_URL": "canaryhookpath",
    "TEST_CHAT": "canarychattoken",
}


class Parrot:
    """Refuses everything, and repeats what it was sent."""

    def __init__(self) -> None:
        self.refused: list[str] = []
        self.asked: list[Asked] = []

    def answer(self, asked: Asked) -> Reply:
        self.asked.append(asked)
        return Reply(400, {"message": f"{asked.path} {asked.headers} {asked.body.decode()}"})


@pytest.fixture
def parrot(home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Parrot]:
    server = Parrot()
    with on_loopback(server) as address:
        host = address.removeprefix("http://")
        file = home.parent / "channels.yaml"
        file.write_text(
            "channels:\n"
            f'  oncall: {{type: pagerduty, routing_key: "${{TEST_PD}}", url: "{address}/v2/enqueue"}}\n'
            f'  tickets: {{type: github, repository: acme/ml, token: "${{TEST_GH}}", url: "{address}"}}\n'
            '  bus: {type: webhook, url: "${TEST_HOOK_URL}", secret: "${TEST_HOOK}"}\n'
            '  chat: {type: apprise, url: "${TEST_CHAT}"}\n'
            "routes: [{critical: [oncall, bus, chat], warning: [tickets]}]\n"
        )
        values = SECRETS | {
            "TEST_HOOK_URL": f"{address}/{SECRETS['TEST_HOOK_URL']}",
            "TEST_CHAT": f"json://ada:{SECRETS['TEST_CHAT']}@{host}/{SECRETS['TEST_CHAT']}",
        }
        for name, text in values.items():
            monkeypatch.setenv(name, text)
        monkeypatch.setenv("MLOPS_CHANNELS", str(file))
        monkeypatch.setenv("MLOPS_NAME", "test")
        yield server


def test_no_secret_is_in_any_log_error_table_or_output(
    parrot: Parrot, mlops: Mlops, home: Path, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    stores = Stores(Settings())
    assert stores.delivery is not None
    stores.alerts.report("churn", Rule.SUITE, Severity.CRITICAL, "nulls 0.6 %")
    stores.alerts.report("churn", Rule.PSI, Severity.WARNING, "PSI 0.2")
    for name in stores.delivery.channels:
        stores.delivery.deliver(name)
    stores.delivery.close()
    said = [mlops("alerts", "test", name).output for name in stores.delivery.channels]
    said += [mlops("alerts", "outbox").output, mlops("alerts", "outbox", "--json").output]
    found = "\n".join([*said, caplog.text, *map(str, capfd.readouterr())])
    kept = (home / "mlops.sqlite").read_bytes() + (home / "mlops.sqlite-wal").read_bytes()
    for secret in SECRETS.values():
        assert secret not in found
        assert secret.encode() not in kept
        sent = b"".join(asked.body + str((asked.headers, asked.path)).encode() for asked in parrot.asked)
        in_use = secret in SECRETS["TEST_HOOK"] or secret.encode() in sent
        assert in_use, "it was not even sent: the test would prove nothing"
    assert "did not take the test: 400 Bad Request" in said[0]


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
        monkeypatch.setenv("TEST_PD", SECRETS["TEST_PD"])
        assert "no channel 'chat'" in mlops("alerts", "test", "chat").stderr
        stores = Stores(Settings())
        assert stores.delivery is not None
        stores.alerts.report("churn", Rule.SUITE, Severity.CRITICAL, "nulls 0.6 %")
        stores.delivery.deliver("oncall")
        (dead,) = json.loads(mlops("alerts", "outbox", "--json").stdout)
        assert (dead["state"], dead["error"]) == ("dead", "400 Bad Request (Invalid routing key)")
        assert "retry" in mlops("alerts", "outbox").stderr
        server.key = SECRETS["TEST_PD"]
        tried = mlops("alerts", "test", "oncall")
        assert "took a test alert" in tried.stdout
        assert "no model has the owner team:typo that a route names" in tried.stderr
        assert not server.open, "the test is over"
        assert json.loads(mlops("alerts", "retry", "--json").stdout) == {"messages": 1}
        stores.delivery.deliver("oncall")
        assert len(server.open) == 1
        assert json.loads(mlops("alerts", "outbox", "--json").stdout) == []
        stores.delivery.close()
