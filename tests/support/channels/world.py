"""Alerts with an outbox, channels of strict stand-ins for vendors, and a clock that the test sets."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypeAlias

import pytest

from mlops_dagster.alerting import Alerts
from mlops_dagster.alerting.channels.message import Site
from mlops_dagster.alerting.delivery.delivery import Delivery
from mlops_dagster.alerting.delivery.letters import Letters
from mlops_dagster.alerting.delivery.outbox import Outbox
from mlops_dagster.alerting.routing.routing import Routing
from mlops_dagster.clock import ReplayedClock
from tests.support.channels.github import TOKEN, GitHubServer
from tests.support.channels.pagerduty import KEY, PagerDutyServer
from tests.support.channels.receivers import SECRET, AlertmanagerServer, Receiver
from tests.support.channels.stub import Network

Fresh: TypeAlias = Callable[[], AbstractContextManager[str]]
"""Gives the URL of an empty database, which is nobody else's."""

START = datetime(2026, 1, 1, 12, tzinfo=UTC)

CHANNELS = {
    "oncall": {"type": "pagerduty", "routing_key": "${TEST_PD}", "url": "http://pagerduty/v2/enqueue"},
    "tickets": {"type": "github", "repository": "acme/ml", "token": "${TEST_GH}", "url": "http://github"},
    "bus": {"type": "webhook", "url": "http://bus/hook", "secret": "${TEST_HOOK}"},
    "prom": {"type": "alertmanager", "url": "http://prom"},
}
ROUTES = [{"critical": ["oncall", "bus", "prom"], "warning": ["tickets", "bus", "prom"]}]


class World:
    def __init__(self, database: str, environment: pytest.MonkeyPatch, **file: object) -> None:
        for name, secret in {"TEST_PD": KEY, "TEST_GH": TOKEN, "TEST_HOOK": SECRET}.items():
            environment.setenv(name, secret)
        self.database = database
        self.clock = ReplayedClock(START)
        self.pager = PagerDutyServer()
        self.github = GitHubServer(self.clock.now)
        self.bus = Receiver(now=self.clock.now)
        self.prom = AlertmanagerServer(self.clock.now)
        servers = {"pagerduty": self.pager, "github": self.github, "bus": self.bus, "prom": self.prom}
        self.network = Network(servers)
        self.routing = Routing.model_validate({"channels": CHANNELS, "routes": ROUTES, **file})
        site = Site("test", "https://board.test", "https://dagster.test", "https://docs.test")
        self.outbox = Outbox(self.routing, site, lambda model: ["team:search"], self.clock)
        self.alerts = Alerts(
            database, self.clock, name="test", actor="ada", outbox=self.outbox.enqueue, fleet_size=lambda: 10**6
        )
        self.letters = Letters(database, self.clock)
        self._deliveries: list[Delivery] = []
        self.delivery = self.another_delivery()

    def another_delivery(self) -> Delivery:
        """As another process has it."""
        made = Delivery(
            self.database,
            self.routing,
            self.outbox,
            lambda model: ["team:search"],
            self.alerts,
            self.clock,
            self.network,
        )
        self._deliveries.append(made)
        return made

    def later(self, **span: float) -> None:
        self.clock.advance_to(self.clock.now() + timedelta(**span))

    def deliver(self) -> int:
        return sum(self.delivery.deliver(name) for name in self.delivery.channels)

    def settle(self) -> None:
        """Deliver until nothing waits, with all servers up."""
        self.network.fault = lambda asked: None
        for _ in range(30):
            self.deliver()
            if not self.letters.list():
                break
            self.later(minutes=6)
        self.later(seconds=61)
        self.deliver()

    @property
    def refused(self) -> list[str]:
        return [text for server in self.network.servers.values() for text in server.refused]

    def close(self) -> None:
        self.alerts.close()
        for each in self._deliveries:
            each.close()
        self.letters.close()


def sqlite(folder: Path) -> str:
    return f"sqlite:///{folder}/mlops.sqlite"


@contextmanager
def copied(empty: Path) -> Iterator[str]:
    """The URL of a copy of an empty database."""
    with TemporaryDirectory() as folder:
        shutil.copy(empty, folder)
        yield sqlite(Path(folder))


@contextmanager
def world_on(database: str, **file: object) -> Iterator[World]:
    """A world on an empty database; `file` are sections of the file of channels."""
    with pytest.MonkeyPatch.context() as environment:
        made = World(database, environment, **file)
        yield made
        made.close()
