"""The file of rules for Prometheus."""

from collections.abc import Mapping

from mlops_dagster.alerting.slo import SloPolicy
from mlops_dagster.serving.telemetry.prometheus.objectives import objectives
from mlops_dagster.serving.telemetry.prometheus.processes import processes
from mlops_dagster.serving.telemetry.prometheus.recordings import recordings
from mlops_dagster.serving.telemetry.prometheus.rule import Group


def rules(policies: Mapping[str, SloPolicy], docs: str | None) -> list[Group]:
    """Return all rules: `policies` are the objectives by model, `docs` the documentation as for `runbook`."""
    return [*recordings(), *objectives(policies, docs), *processes(docs)]


def rules_file(policies: Mapping[str, SloPolicy], docs: str | None) -> str:
    """Return the rules as YAML, for `rule_files` of Prometheus 2.42 or later."""
    import yaml

    head = "# Made by `mlops telemetry rules`; change the policies (section `slo`), not this file.\n"
    return head + yaml.safe_dump({"groups": rules(policies, docs)}, sort_keys=False, width=120)
