"""Real processes that deliver are killed at random moments, over connections that break; servers are on loopback."""

import multiprocessing
import random
import shutil
import sqlite3
import time
from contextlib import ExitStack, closing
from multiprocessing.process import BaseProcess
from pathlib import Path

import pytest

from mlops_dagster.alerting import Rule, Severity
from mlops_dagster.alerting.delivery.entry import State
from mlops_dagster.settings import Settings
from mlops_dagster.stores import Stores
from tests.support.channels.deliver import deliver_for_ever
from tests.support.channels.github import TOKEN, GitHubServer
from tests.support.channels.pagerduty import KEY, PagerDutyServer
from tests.support.channels.receivers import SECRET, Receiver
from tests.support.channels.stub import on_loopback

ALERTS = 200
KILLS = 12


class Storm(random.Random):
    """Draws that make servers fail, until it is over."""

    over = False

    def random(self) -> float:
        return 1.0 if self.over else super().random()


def test_two_hundred_alerts_survive_kill_9_and_cut_connections(
    empty: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copy(empty, tmp_path)
    pager, github, bus, storm = PagerDutyServer(), GitHubServer(), Receiver(), Storm(21)
    with ExitStack() as stack:
        addresses = [stack.enter_context(on_loopback(each, storm)) for each in (pager, github, bus)]
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
            "TEST_PD": KEY,
            "TEST_GH": TOKEN,
            "TEST_HOOK": SECRET,
        }
        for name, text in variables.items():
            monkeypatch.setenv(name, text)
        stores = Stores(Settings())
        killed = alerts_and_kills(stores, variables)
        storm.over = True
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
        assert killed, "nothing was sent before: the test would prove nothing"


def alerts_and_kills(stores: Stores, variables: dict[str, str]) -> int:
    """Open alerts and end some, while deliverers are killed; return how many messages were sent meanwhile."""
    draw = random.Random(21)  # noqa: S311
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.support.channels.deliver"])  # a new one is there at once

    def start() -> BaseProcess:
        process = context.Process(target=deliver_for_ever, args=(variables,), daemon=True)
        process.start()
        return process

    deliverers = [start(), start()]
    try:
        for number in range(ALERTS):
            severity = Severity.WARNING if number % 5 == 0 else Severity.CRITICAL
            stores.alerts.report("churn", Rule.SUITE, severity, "nulls 0.6 %", subject=str(number))
            if number % 3 == 0:
                stores.alerts.resolve("churn", Rule.SUITE, "it passed", subject=str(number // 2))
            if number % (ALERTS // KILLS) == 0:
                time.sleep(draw.random() / 2)
                victim = draw.randrange(2)
                deliverers[victim].kill()
                deliverers[victim].join()
                deliverers[victim] = start()
    finally:
        for each in deliverers:
            each.kill()
            each.join()
    return len(stores.letters.list([State.SENT]))


def finish(stores: Stores) -> None:
    """Deliver what the killed had, as a process an hour later would."""
    delivery = stores.delivery
    assert delivery is not None
    deadline = time.monotonic() + 60
    while waiting := stores.letters.list():
        assert time.monotonic() < deadline
        assert {entry.state for entry in waiting} == {State.WAITING}, {entry.error for entry in waiting}
        with closing(sqlite3.connect(stores.settings.home / "mlops.sqlite")) as connection, connection:
            connection.execute("UPDATE outbox SET leased_until = NULL, next_at = enqueued_at WHERE state = 'waiting'")
            connection.execute("UPDATE alert_channels SET paused_until = NULL")
        for name in delivery.channels:
            delivery.deliver(name)
    delivery.close()
