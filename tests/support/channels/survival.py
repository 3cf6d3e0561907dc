"""Alerts that open and end while the processes that deliver them are killed, over connections that break."""

import random
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from sqlalchemy import func, select

from mlops_dagster.alerting import Rule, Severity
from mlops_dagster.alerting.channels.message import Action
from mlops_dagster.alerting.delivery.entry import State
from mlops_dagster.alerting.delivery.tables import outbox
from mlops_dagster.database import open_database, writing
from mlops_dagster.stores import Stores
from tests.support.channels.deliver import deliver_for_ever
from tests.support.channels.github import TOKEN, GitHubServer
from tests.support.channels.pagerduty import KEY, PagerDutyServer
from tests.support.channels.receivers import SECRET, AlertmanagerServer, Receiver
from tests.support.channels.stub import on_loopback, wait_until
from tests.support.forks import Forked

TOLD = 20
"""The alerts that every channel has been told of before they end; what nobody was told of has no end to be told."""


class Storm(random.Random):
    """Draws that make servers fail, until it is over."""

    over = False
    drawn = 0

    def random(self) -> float:
        self.drawn += 1
        return 1.0 if self.over else super().random()


@dataclass
class Vendors:
    """Strict stand-ins for four vendors on loopback, and the variables of a process that delivers to them."""

    storm: Storm
    variables: Mapping[str, str]
    pager: PagerDutyServer = field(default_factory=PagerDutyServer)
    github: GitHubServer = field(default_factory=GitHubServer)
    bus: Receiver = field(default_factory=Receiver)
    prom: AlertmanagerServer = field(default_factory=AlertmanagerServer)

    def faults(self, stores: Stores) -> list[str]:
        """Return what the vendors have otherwise than once, or lack, of the alerts that are open."""
        found = stores.alerts.list()
        critical = {alert.key for alert in found if alert.severity is Severity.CRITICAL}
        bodies = Counter(issue.body for issue in self.github.issues)
        incidents = Counter(self.pager.incidents)
        refused = [text for each in (self.pager, self.github, self.bus, self.prom) for text in each.refused]
        firing = Counter((labels["subject"], labels["severity"]) for labels in self.prom.open)
        promises = {
            "a vendor refused a request": not refused,
            "other incidents are open than alerts": set(self.pager.open) == critical,
            "the web hook knows of other alerts": self.bus.open == critical,
            "an issue was made twice": all(count == 1 for count in bodies.values()),
            "other issues are open than alerts": len(self.github.open) == len(found) - len(critical),
            "an incident was made twice": all(count == 1 for count in incidents.values()),
            "Alertmanager fires for other alerts": firing == Counter((one.subject, one.severity) for one in found),
            "an alert fired twice in Alertmanager": len(set(self.prom.fired)) == len(self.prom.fired),
        }
        return [fault for fault, is_kept in promises.items() if not is_kept]


@contextmanager
def vendors(folder: Path, seed: int, **variables: str) -> Iterator[Vendors]:
    """Four vendors that fail at random, and the file of channels that names them."""
    made = Vendors(Storm(seed), {})
    with ExitStack() as stack:
        pager, github, bus, prom = (
            stack.enter_context(on_loopback(each, made.storm))
            for each in (made.pager, made.github, made.bus, made.prom)
        )
        file = folder / "channels.yaml"
        file.write_text(
            "channels:\n"
            f'  oncall: {{type: pagerduty, routing_key: "${{TEST_PD}}", url: {pager}/v2/enqueue}}\n'
            f'  tickets: {{type: github, repository: acme/ml, token: "${{TEST_GH}}", url: {github}}}\n'
            f'  bus: {{type: webhook, url: {bus}/hook, secret: "${{TEST_HOOK}}"}}\n'
            f"  prom: {{type: alertmanager, url: {prom}}}\n"
            "routes: [{critical: [oncall, bus, prom], warning: [tickets, prom]}]\n"
        )
        made.variables = {
            "MLOPS_HOME": str(folder),
            "MLOPS_CHANNELS": str(file),
            "MLOPS_NAME": "test",
            "TEST_PD": KEY,
            "TEST_GH": TOKEN,
            "TEST_HOOK": SECRET,
            **variables,
        }
        yield made


def alerts_and_kills(stores: Stores, variables: Mapping[str, str], *, alerts: int, kills: int, seed: int) -> int:
    """Open alerts and end some, while deliverers are killed; return how many messages were sent meanwhile."""
    draw = random.Random(seed)  # noqa: S311

    def start() -> Forked:
        return Forked(deliver_for_ever, dict(variables))

    def strike(number: int) -> None:
        if number % (alerts // kills) == 0:
            time.sleep(draw.random() / 2)
            victim = draw.randrange(2)
            deliverers[victim].kill()
            deliverers[victim].wait()
            deliverers[victim] = start()

    deliverers = [start(), start()]
    try:
        for number in range(alerts):
            severity = Severity.WARNING if number % 5 == 0 else Severity.CRITICAL
            stores.alerts.report("churn", Rule.SUITE, severity, "nulls 0.6 %", subject=str(number))
            if number % 3 == 0:
                stores.alerts.resolve("churn", Rule.SUITE, "it passed", subject=str(number // 2))
            strike(number)
        wait_until(lambda: min(told(stores, Action.OPEN).values()) >= TOLD, seconds=120)
        for number in range(0, alerts, 2):
            stores.alerts.resolve("churn", Rule.SUITE, "it passed", subject=str(number))
            strike(number)
        wait_until(lambda: all(told(stores, Action.RESOLVE).values()), seconds=120)
    finally:
        for each in deliverers:
            each.kill()
            each.wait()
    return len(stores.letters.list([State.SENT]))


def told(stores: Stores, action: Action) -> Mapping[str, int]:
    """Return the number of messages of this kind that each channel has taken."""
    assert stores.delivery is not None
    counts = select(outbox.c.channel, func.count()).where(outbox.c.state == State.SENT, outbox.c.action == action)
    engine = open_database(stores.settings.database)
    with engine.connect() as connection:
        sent = {row[0]: row[1] for row in connection.execute(counts.group_by(outbox.c.channel))}
    engine.dispose()
    return {name: sent.get(name, 0) for name in stores.delivery.channels}


def finish(stores: Stores) -> None:
    """Deliver what the killed had, as a process an hour later would."""
    delivery, engine = stores.delivery, open_database(stores.settings.database)
    assert delivery is not None
    deadline = time.monotonic() + 60
    while waiting := stores.letters.list():
        assert time.monotonic() < deadline, "messages still wait"
        assert {entry.state for entry in waiting} == {State.WAITING}, {entry.error for entry in waiting}
        with writing(engine) as connection:
            connection.exec_driver_sql(
                "UPDATE outbox SET leased_until = NULL, next_at = enqueued_at WHERE state = 'waiting'"
            )
            connection.exec_driver_sql("UPDATE alert_channels SET paused_until = NULL")
        for name in delivery.channels:
            delivery.deliver(name)
    delivery.close()
    engine.dispose()
