"""What a real Prometheus makes of a real data plane: every query of every dashboard and rule has an answer."""

import re
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import httpx
import pytest

from mlops_dagster.alerting import Rule, Severity
from mlops_dagster.loop.judging.findings import DRIFT, HourOfDrift
from mlops_dagster.monitoring import DriftPolicy, DriftReport, FeatureDrift, Verdict
from mlops_dagster.monitoring.drift.report import ScoreDrift
from mlops_dagster.registry import Stage
from mlops_dagster.rollout import Evidence, Phase, RolloutPolicy, decide
from mlops_dagster.serving.telemetry.grafana.dashboards import DASHBOARDS
from mlops_dagster.serving.telemetry.prometheus.rules import rules
from mlops_dagster.statistics import KsResult
from tests.support.predictions.records import a_record
from tests.support.serving.data_plane import Models, Server, eventually
from tests.support.serving.prometheus import Heard, alertmanager, hooks, prometheus, samples

MODEL = "watched"
HOUR = timedelta(hours=1)


@pytest.fixture(scope="module")
def told(
    models: Models, start_server: Callable[..., Server], tmp_path_factory: pytest.TempPathFactory
) -> Iterator["Told"]:
    """A plane with a rollout, drift, an alert and labels; scraped by Prometheus while a model is on hold."""
    folder = tmp_path_factory.mktemp("prometheus")
    prepare(models)
    server = start_server()
    server.wait_in_force(models.stores, MODEL)
    answers = [server.infer(MODEL, delay=delay).json() for delay in [40.0, 1.0] * 20 + [1e9] * 2]
    assert server.post(f"/v2/models/{MODEL}/infer", {"inputs": []}).status_code == 400
    with (
        hooks() as (receiver, heard),
        alertmanager(folder, receiver) as manager,
        prometheus(folder, f"127.0.0.1:{server.address['port']}", manager) as client,
    ):
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
        yield Told(client, heard)
    server.stop()


class Told:
    """Prometheus, and the alerts that reached people."""

    def __init__(self, client: httpx.Client, heard: Heard) -> None:
        self.client = client
        self._heard = heard

    def alerts(self) -> set[tuple[str, str]]:
        """Receiver and name of each alert."""
        return {(receiver, alert["labels"]["alertname"]) for receiver, alert in self._heard}


def prepare(models: Models) -> None:
    stores = models.stores
    now = datetime.now(UTC)
    models.champion("on_hold")
    stores.registry.hold("on_hold", "a bad batch")
    models.champion(MODEL)
    registered = models.register(MODEL, "1.1.0")
    epoch = stores.registry.deployment(MODEL).epoch
    started = stores.rollouts.start(MODEL, "1.0.0", "1.1.0", RolloutPolicy(), epoch, now)
    stores.registry.transition(registered, Stage.CANARY, weight=0.5)
    rollout = stores.rollouts.change(started.id, lambda seen: replace(seen, phase=Phase.CANARY, step=1, weight=0.5))
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
