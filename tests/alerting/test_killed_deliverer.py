"""Real processes that deliver are killed at random moments, over connections that break; servers are on loopback."""

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path

import pytest

from mlops_dagster.alerting import Rule, Severity
from mlops_dagster.alerting.delivery.entry import State
from mlops_dagster.settings import Settings
from mlops_dagster.stores import Stores
from tests.support.channels.github import TOKEN, GitHubServer
from tests.support.channels.pagerduty import KEY, PagerDutyServer
from tests.support.channels.receivers import SECRET, Receiver
from tests.support.channels.stub import on_loopback

ALERTS = 200
SECONDS = 8.0


def test_two_hundred_alerts_survive_kill_9_and_cut_connections(
    empty: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copy(empty, tmp_path)
    pager, github, bus = PagerDutyServer(), GitHubServer(), Receiver()
    draw = random.Random(21)  # noqa: S311
    with ExitStack() as stack:
        addresses = [
            stack.enter_context(on_loopback(each, random.Random(n)))  # noqa: S311
            for n, each in enumerate((pager, github, bus))
        ]
        (tmp_path / "channels.yaml").write_text(
            "channels:\n"
            f'  oncall: {{type: pagerduty, routing_key: "${{TEST_PD}}", url: {addresses[0]}/v2/enqueue}}\n'
            f'  tickets: {{type: github, repository: acme/ml, token: "${{TEST_GH}}", url: {addresses[1]}}}\n'
            f'  bus: {{type: webhook, url: {addresses[2]}/hook, secret: "${{TEST_HOOK}}"}}\n'
            "routes: [{critical: [oncall, bus], warning: [tickets]}]\n"
        )
        variables = {
            "MLOPS_HOME": str(tmp_path),
            "MLOPS_CHANNELS": str(tmp_path / "channels.yaml"),
            "MLOPS_NAME": "test",
        }
        for name, text in {**variables, "TEST_PD": KEY, "TEST_GH": TOKEN, "TEST_HOOK": SECRET}.items():
            monkeypatch.setenv(name, text)
        stores = Stores(Settings())
        deliverers = [start(), start()]
        try:
            begin, told = time.monotonic(), 0
            while time.monotonic() < begin + SECONDS or told < ALERTS:
                if told < ALERTS:
                    severity = Severity.WARNING if told % 5 == 0 else Severity.CRITICAL
                    stores.alerts.report("churn", Rule.SUITE, severity, "nulls 0.6 %", subject=str(told))
                    if told % 3 == 0:
                        stores.alerts.resolve("churn", Rule.SUITE, "it passed", subject=str(told // 2))
                    told += 1
                if draw.random() < 0.03:
                    victim = draw.randrange(2)
                    os.kill(deliverers[victim].pid, signal.SIGKILL)
                    deliverers[victim].wait()
                    deliverers[victim] = start()
                time.sleep(0.01)
        finally:
            for each in deliverers:
                each.kill()
                each.wait()
        finish(stores)

        open_alerts = stores.alerts.list()
        critical = {alert.key for alert in open_alerts if alert.severity is Severity.CRITICAL}
        assert not [*pager.refused, *github.refused, *bus.refused]
        assert set(pager.open) == critical
        assert bus.open == critical
        bodies = [issue.body for issue in github.issues]
        assert len(bodies) == len(set(bodies)), "an issue was made twice"
        assert len(github.open) == len(open_alerts) - len(critical)
        assert len(pager.incidents) == len(set(pager.incidents))


def start() -> "subprocess.Popen[bytes]":
    return subprocess.Popen([sys.executable, "-m", "tests.support.channels.deliver"])


def finish(stores: Stores) -> None:
    """Deliver what the killed had, as a process an hour later would."""
    delivery = stores.delivery
    assert delivery is not None
    deadline = time.monotonic() + 30
    while stores.letters.list():
        assert time.monotonic() < deadline
        for entry in stores.letters.list():
            assert entry.state is State.WAITING, entry.error
        hurry(stores)
        for name in delivery.channels:
            delivery.deliver(name)


def hurry(stores: Stores) -> None:
    """End all leases and pauses."""
    import sqlite3
    from contextlib import closing

    with closing(sqlite3.connect(stores.settings.home / "mlops.sqlite")) as connection, connection:
        connection.execute("UPDATE outbox SET leased_until = NULL, next_at = enqueued_at WHERE state = 'waiting'")
        connection.execute("UPDATE alert_channels SET paused_until = NULL")
