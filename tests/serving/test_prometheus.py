"""What a real Prometheus makes of a real data plane: every query of every dashboard and rule has an answer."""

import re
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import httpx
import pytest

from mlops_dagster.alerting import Rule, Severity
from mlops_dagster.clock import time_text
from mlops_dagster.loop.judging.findings import DRIFT, HourOfDrift
from mlops_dagster.loop.registry_events.settle import TOLD_FIRST
from mlops_dagster.loop.watching import look
from mlops_dagster.monitoring import DriftPolicy, DriftReport, FeatureDrift, Verdict
from mlops_dagster.monitoring.drift.report import ScoreDrift
from mlops_dagster.registry import ModelVersion, Stage
from mlops_dagster.rollout import Evidence, Phase, Rollout, RolloutPolicy, decide
from mlops_dagster.serving.telemetry.grafana.dashboards import DASHBOARDS
from mlops_dagster.serving.telemetry.prometheus.rules import rules
from mlops_dagster.settings import Settings
from mlops_dagster.statistics import KsResult
from mlops_dagster.stores import Stores
from tests.support.channels.github import TOKEN, GitHubServer
from tests.support.channels.pagerduty import KEY, PagerDutyServer
from tests.support.channels.stub import on_loopback
from tests.support.predictions.records import a_record
from tests.support.serving.data_plane import SCHEMA, Models, Server, eventually, make_estimator
from tests.support.serving.prometheus import Heard, alertmanager, hooks, prometheus, samples

MODEL, STORY = "watched", "story"
HOUR = timedelta(hours=1)


@pytest.fixture(scope="module")
def vendors(tmp_path_factory: pytest.TempPathFactory) -> Iterator["Vendors"]:
    """A pager, issues, and a real Alertmanager, with the variables of processes that tell people by them."""
    folder = tmp_path_factory.mktemp("vendors")
    pager, github = PagerDutyServer(), GitHubServer()
    with (
        hooks() as (receiver, heard),
        alertmanager(folder, receiver) as manager,
        on_loopback(pager) as duty,
        on_loopback(github) as issues,
        pytest.MonkeyPatch.context() as environment,
    ):
        (folder / "channels.yaml").write_text(
            "channels:\n"
            f'  oncall: {{type: pagerduty, routing_key: "${{TEST_PD}}", url: "{duty}/v2/enqueue"}}\n'
            f'  tickets: {{type: github, repository: acme/ml, token: "${{TEST_GH}}", url: "{issues}"}}\n'
            f'  prom: {{type: alertmanager, url: "http://{manager}"}}\n'
            "routes: [{critical: [oncall, prom], warning: [tickets, prom]}]\n"
        )
        environment.setenv("MLOPS_CHANNELS", str(folder / "channels.yaml"))
        environment.setenv("MLOPS_NAME", "test")
        environment.setenv("TEST_PD", KEY)
        environment.setenv("TEST_GH", TOKEN)
        yield Vendors(pager, github, manager, heard)


@dataclass
class Vendors:
    pager: PagerDutyServer
    github: GitHubServer
    alertmanager: str
    heard: Heard


@pytest.fixture(scope="module")
def told(
    models: Models,
    start_server: Callable[..., Server],
    vendors: Vendors,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator["Told"]:
    """A plane with a rollout, drift, an alert and labels; scraped by Prometheus while a model is on hold."""
    folder = tmp_path_factory.mktemp("prometheus")
    prepare(models)
    server = start_server()
    server.wait_in_force(models.stores, MODEL)
    answers = [server.infer(MODEL, delay=delay).json() for delay in [40.0, 1.0] * 20 + [1e9] * 2]
    assert server.post(f"/v2/models/{MODEL}/infer", {"inputs": []}).status_code == 400
    with prometheus(folder, f"127.0.0.1:{server.address['port']}", vendors.alertmanager) as client:
        eventually(lambda: samples(client, "max(mlops_rollout_e_value)"))
        ids = [
            next(each["data"][0] for each in answer["outputs"] if each["name"] == "prediction_id") for answer in answers
        ]
        labels = [
            {"prediction_id": each, "label": label} for each, label in zip(ids, ["late", "on_time"] * 21, strict=True)
        ]
        assert server.post(f"/v1/models/{MODEL}/feedback", {"labels": labels}).status_code == 200
        for _ in range(20):
            server.infer(MODEL)
            assert server.infer("on_hold").status_code == 503
        time.sleep(3)  # scrapes, and evaluations of them
        yield Told(client, vendors.heard, server)
    server.stop()


class Told:
    """Prometheus, and the alerts that reached people."""

    def __init__(self, client: httpx.Client, heard: Heard, server: Server) -> None:
        self.client, self.server = client, server
        self._heard = heard

    def alerts(self, status: str = "firing") -> set[tuple[str, str]]:
        """Receiver and name of each alert that was firing, or resolved."""
        return {(receiver, each["labels"]["alertname"]) for receiver, each in self._heard if each["status"] == status}


def prepare(models: Models) -> None:
    stores = models.stores
    now = datetime.now(UTC)
    models.champion("on_hold")
    stores.registry.hold("on_hold", "a bad batch")
    models.champion(MODEL)
    rollout = begin_canary(stores, MODEL, models.register(MODEL, "1.1.0"), now)
    stores.rollouts.record(decide(rollout.policy, rollout, Evidence(now), now))
    features = (FeatureDrift("delay", 0.3, 0.02, Verdict.RETRAIN, report_only=False, independent_rows=900.0),)
    score = ScoreDrift(KsResult(0.12, 0.001), 0.05, 0.02, Verdict.MONITOR)
    found = DriftReport(Verdict.RETRAIN, 900, features, score, DriftPolicy())
    hour = now.replace(minute=0, second=0, microsecond=0) - HOUR
    stores.reports.save(DRIFT, MODEL, hour, HourOfDrift(found), verdict="retrain")
    stores.alerts.report(MODEL, Rule.PSI, Severity.WARNING, "delay has drifted")
    stores.beats.beat("sensor:alerts", timedelta(minutes=1))
    stores.spool.append([a_record(0)._replace(model=MODEL, event_time=now, received_at=now, prediction_id="before")])
    stores.spool.feedback([("before", "late", now)], model=MODEL)
    stores.local_rollups.catch_up(stores.spool, lambda *_: None)


def begin_canary(stores: Stores, model: str, version: ModelVersion, now: datetime) -> Rollout:
    """Give a version half of the traffic, in a rollout."""
    epoch = stores.registry.deployment(model).epoch
    started = stores.rollouts.start(model, "1.0.0", version.version, RolloutPolicy(), epoch, now)
    stores.registry.transition(version, Stage.CANARY, weight=0.5)
    return stores.rollouts.change(started.id, lambda seen: replace(seen, phase=Phase.CANARY, step=1, weight=0.5))


class Story:
    """A model on the data plane, and all that happens to it; `stores` tell of alerts."""

    def __init__(self, stores: Stores, models: Models, server: Server) -> None:
        self.stores, self.models, self.server = stores, models, server
        self.now = datetime.now(UTC)
        limits = {"warning": 0.8, "critical": 0.4, "rows_per_observation": 1}
        stores.registry.publish_policies(STORY, {"alerts": {"accuracy": limits}})

    def champion(self, version: str) -> None:
        self.stores.registry.transition(self.models.register(STORY, version), Stage.PRODUCTION)
        self.wait_in_force()

    def canary(self, version: str) -> None:
        """Give half of the traffic to a version that raises for an unknown carrier."""
        raising = replace(self.models, artifacts={(SCHEMA.digest, 15.0): make_estimator(SCHEMA)})
        begin_canary(self.stores, STORY, raising.register(STORY, version), datetime.now(UTC))
        self.wait_in_force()

    def wait_in_force(self) -> None:
        self.server.wait_in_force(self.stores, STORY)

    def ask(self, *, times: int, **inputs: object) -> list[str]:
        """Ask so often; return the ids of the predictions that were made."""
        answers = [self.server.infer(STORY, **inputs) for _ in range(times)]
        outputs = [each for answer in answers if answer.status_code == 200 for each in answer.json()["outputs"]]
        return [name for each in outputs if each["name"] == "prediction_id" for name in each["data"]]

    def answer(self, number: int, *, wrong: float) -> None:
        """Ask, and label the answers, all of which are `late`; a share of them was wrong."""
        ids = self.ask(times=number // 20, rows=20, delay=90.0)
        told = [{"prediction_id": each, "label": "late"} for each in ids]
        for label in told[: round(wrong * number)]:
            label["label"] = "on_time"
        assert self.server.post(f"/v1/models/{STORY}/feedback", {"labels": told}).status_code == 200
        self.server.flush()

    def look(self) -> None:
        """Look as the alert sensor does, ten minutes after the last look."""
        self.now += timedelta(minutes=10)
        look(self.stores, self.now)

    def five_minutes_later(self, version: str) -> None:
        """Let the alert of a rollback have been open for so long: it is not over before it was told."""
        before = time_text(datetime.now(UTC) - TOLD_FIRST)
        with closing(sqlite3.connect(self.stores.settings.home / "mlops.sqlite")) as connection, connection:
            connection.execute(
                "UPDATE alerts SET opened_at = ? WHERE rule = 'rolled_back' AND subject = ?", (before, version)
            )


def test_every_panel_has_data(told: Told) -> None:
    empty = []
    for dashboard in DASHBOARDS:
        for panel in dashboard.panels:
            for query in panel.queries:
                expr = query.expr.replace("$model", MODEL).replace("$version", ".+").replace("$__rate_interval", "1m")
                if not samples(told.client, expr) and not panel.hardware:
                    empty.append(f"{dashboard.name}, {panel.title}: {expr}")
    assert empty == []


def test_every_rule_reads_metrics_that_exist(told: Told) -> None:
    health = told.client.get("/api/v1/rules").json()["data"]["groups"]
    assert {rule["health"] for group in health for rule in group["rules"]} == {"ok"}
    written = [rule for group in rules({}, None) for rule in group["rules"]]
    recorded = {rule["record"] for rule in written if "record" in rule and "gpu" not in rule["record"]}
    read = {name for rule in written for name in re.findall(r"\b(?:[a-z_]+:)?mlops_\w+(?::\w+)?", rule["expr"])}
    assert [
        name for name in sorted(recorded | read) if not re.search("gpu|outbox", name) and not samples(told.client, name)
    ] == []


def test_alerts_reach_people_by_severity(told: Told) -> None:
    eventually(lambda: {("dead-man", "MlopsDeadMan"), ("page", "MlopsBudgetBurnsFast")} <= told.alerts())


def test_a_champion_that_falls_and_a_canary_that_fails_are_told_from_the_first_sign_to_the_end(
    models: Models, told: Told, vendors: Vendors
) -> None:
    """Accuracy: a ticket, a page, a rollback. Then a canary that the fuse cuts off. Each ends in every channel."""
    stores = Stores(Settings(home=models.stores.settings.home), actor="ada")
    story = Story(stores, models, told.server)
    story.champion("1.0.0")
    story.champion("1.1.0")
    story.look()
    story.look()
    story.answer(300, wrong=0.4)
    story.look()
    eventually(lambda: [title for title in vendors.github.open if "accuracy" in title])
    (ticket,) = (issue for issue in vendors.github.issues if "story" in issue.title)
    assert ticket.title.startswith("[WARNING] story 1.1.0: accuracy ")
    assert "limit 80 %" in ticket.title
    key = "mlops:test:story:accuracy"
    assert key not in vendors.pager.open
    story.answer(300, wrong=0.95)
    story.look()
    eventually(lambda: vendors.pager.open.get(key) == "triggered")
    stores.registry.rollback(STORY, reason="two thirds of its answers are wrong", bad="1.1.0")
    eventually(lambda: key not in vendors.pager.open)
    eventually(lambda: ticket.state == "closed")
    assert "1.1.0 is out of traffic" in ticket.comments[-1]["body"]
    page = "mlops:test:story:rolled_back:1.1.0"
    eventually(lambda: page in vendors.pager.open)
    story.wait_in_force()
    story.five_minutes_later("1.1.0")
    eventually(lambda: page not in vendors.pager.open)

    story.canary("1.2.0")
    for _ in range(60):
        story.ask(carrier="ZZ", times=4)
        if stores.registry.deployment(STORY).canary is None:
            break
    page = "mlops:test:story:rolled_back:1.2.0"
    eventually(lambda: page in vendors.pager.open)
    (alert,) = (each for each in stores.alerts.list(STORY) if each.subject == "1.2.0")
    assert re.match(r"taken out by .*; 1\.0\.0 answers", alert.done)
    eventually(lambda: ("record", "MlopsFuseTripped") in told.alerts())
    story.wait_in_force()
    story.five_minutes_later("1.2.0")
    eventually(lambda: page not in vendors.pager.open)
    seen = {("page", "rolled_back"), ("page", "accuracy"), ("ticket", "accuracy"), ("record", "MlopsFuseTripped")}
    eventually(lambda: seen <= told.alerts() & told.alerts("resolved"), seconds=30)
    assert not [*vendors.pager.refused, *vendors.github.refused]
    eventually(lambda: not stores.letters.list())
    home = stores.settings.home
    kept = b"".join(path.read_bytes() for path in (told.server.log, *home.glob("mlops.sqlite*")))
    shown = kept + told.server.client.get("/metrics").content + repr(vendors.heard).encode()
    assert [secret for secret in (KEY, TOKEN) if secret.encode() in shown] == []
