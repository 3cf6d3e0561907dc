"""The files in deploy/: as our commands make them, and as the programs that read them want them."""

import re
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from mlops_dagster.alerting import Rule
from mlops_dagster.alerting.slo import SloPolicy
from mlops_dagster.cli import app
from mlops_dagster.serving.telemetry.prometheus.rules import rules, rules_file
from tests.support.serving.data_plane import Models

REPOSITORY = Path(__file__).parents[2]
DEPLOY = REPOSITORY / "deploy"

TESTS = ("tests.yml", "tests-of-hours.yml")

OUR_METRICS: Mapping[Rule, str] = {
    Rule.ACCURACY: "mlops_accuracy|mlops_labelled",
    Rule.HEADLINE: "mlops_headline",
    Rule.PSI: "mlops_drift_psi|mlops_drift_noise",
    Rule.KS: "mlops_drift_ks",
    Rule.LABEL_DEBT: "mlops_label_debt",
    Rule.NULL_RATE: "mlops_unlike_training",
    Rule.LABEL_DRIFT: "mlops_outputs",
    Rule.P99_MS: "mlops_request_seconds",
    Rule.NO_TRAFFIC: "mlops_requests:rate5m",
}
"""What our own rules judge, by the metric that shows it."""


def run(*command: str) -> str:
    found = subprocess.run(command, capture_output=True, text=True, check=False, cwd=DEPLOY)
    assert found.returncode == 0, found.stdout + found.stderr
    return found.stdout


def test_prometheus_takes_the_rules_and_they_alert_as_said() -> None:
    assert (DEPLOY / "prometheus/rules.yml").read_text() == rules_file({}, None)
    assert "SUCCESS" in run("promtool", "check", "config", "prometheus/prometheus.yml")
    assert "SUCCESS" in run("promtool", "test", "rules", *(f"prometheus/{name}" for name in TESTS))


def test_every_alert_of_prometheus_is_seen_to_fire_and_to_end() -> None:
    groups = yaml.safe_load((DEPLOY / "prometheus/rules.yml").read_text())["groups"]
    alerts = {rule["alert"] for group in groups for rule in group["rules"] if "alert" in rule}
    ended: set[str] = set()
    tests = [each for name in TESTS for each in yaml.safe_load((DEPLOY / "prometheus" / name).read_text())["tests"]]
    for test in tests:
        fired: dict[str, int] = {}
        for look in sorted(test["alert_rule_test"], key=_minutes):
            name, minutes = look["alertname"], _minutes(look)
            if look["exp_alerts"]:
                fired[name] = minutes
            elif minutes > fired.get(name, minutes):
                ended.add(name)
    assert ended == alerts - {"MlopsDeadMan"}, "all but the one that always fires"


def _minutes(look: Mapping[str, str]) -> int:
    time = look["eval_time"]
    return int(time[:-1]) * {"m": 1, "h": 60}[time[-1]]


def test_objectives_are_those_of_the_published_policies(
    models: Models, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stores = models.stores
    models.champion("churn")
    stores.registry.publish_policies("churn", {"slo": SloPolicy(availability=0.95, min_bad_events=3)})
    monkeypatch.setenv("MLOPS_HOME", str(stores.settings.home))
    monkeypatch.setenv("MLOPS_DOCS_URL", "https://docs.example.com/")
    made = CliRunner().invoke(app, ["telemetry", "rules"])
    assert made.exit_code == 0, made.output
    groups = {group["name"]: group["rules"] for group in yaml.safe_load(made.stdout)["groups"]}
    objectives = groups["mlops objectives"]
    labels = {"model": "churn", "slo": "availability"}
    assert {"record": "model:mlops_slo_objective:ratio", "expr": "vector(0.95)", "labels": labels} in objectives
    assert 'model!~"churn"' in objectives[0]["expr"], "the default is for the others"
    links = {rule["annotations"]["runbook_url"] for rules in groups.values() for rule in rules if "alert" in rule}
    assert "https://docs.example.com/runbooks/prometheus.html#mlopsdiskfull" in links
    path = tmp_path / "rules.yml"
    path.write_text(made.stdout)
    assert "SUCCESS" in run("promtool", "check", "rules", str(path))


def test_every_alert_has_a_section_of_the_runbook() -> None:
    alerts = {rule["alert"] for group in rules({}, None) for rule in group["rules"] if "alert" in rule}
    sections = set(re.findall(r"^## (\w+)$", (REPOSITORY / "docs/runbooks/prometheus.md").read_text(), re.MULTILINE))
    assert sections == alerts


def test_prometheus_alerts_on_nothing_that_our_own_rules_judge() -> None:
    exprs = {rule["alert"]: rule["expr"] for group in rules({}, None) for rule in group["rules"] if "alert" in rule}
    both = [(name, rule) for name, expr in exprs.items() for rule, of in OUR_METRICS.items() if re.search(of, expr)]
    assert both == []


@pytest.mark.parametrize(
    ("labels", "receiver"),
    [
        ("severity=critical", "page"),
        ("severity=warning", "ticket"),
        ("severity=info", "record"),
        ("alertname=MlopsDeadMan severity=none", "dead-man"),
    ],
)
def test_alertmanager_routes_by_severity(labels: str, receiver: str) -> None:
    config = "alertmanager/alertmanager.yml"
    run("amtool", "check-config", config)
    assert run("amtool", "config", "routes", "test", f"--config.file={config}", *labels.split()).strip() == receiver


def test_dashboards_are_as_made() -> None:
    checked = CliRunner().invoke(app, ["telemetry", "dashboards", str(DEPLOY / "grafana"), "--check"])
    assert checked.exit_code == 0, checked.output


@pytest.mark.parametrize("path", sorted(DEPLOY.glob("*/**/*.yml")), ids=lambda path: path.name)
def test_each_file_is_yaml(path: Path) -> None:
    assert yaml.safe_load(path.read_text())
