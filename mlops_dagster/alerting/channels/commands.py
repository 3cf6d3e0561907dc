"""The command that a message about an alert tells a person to begin with."""

from collections.abc import Mapping
from typing import Final

from mlops_dagster.alerting.alert import FLEET, Alert
from mlops_dagster.alerting.rule import Rule

_COMMANDS: Final[Mapping[str, str]] = {
    Rule.HEADLINE: "mlops reports show {model} --kind performance",
    Rule.CONCEPT_DRIFT: "mlops reports show {model} --kind performance",
    Rule.PSI: "mlops reports show {model} --kind drift",
    Rule.KS: "mlops reports show {model} --kind drift",
    Rule.VALIDATION: "mlops reports show {model} --kind validation",
    Rule.HELD: "mlops models release {model} --reason '...'",
    Rule.ROLLED_BACK: "mlops rollouts explain {decision}",
    Rule.AUDIT_BROKEN: "mlops audit verify",
    Rule.CHANNEL_BROKEN: "mlops alerts test {subject}",
}


def command_of(alert: Alert) -> str:
    """Return the command to begin with: the one of the rule, or else the one that shows the alert."""
    command = "" if alert.model == FLEET and alert.rule != Rule.CHANNEL_BROKEN else _COMMANDS.get(alert.rule, "")
    decision = alert.evidence.get("decision")
    if not command or (alert.rule == Rule.ROLLED_BACK and decision is None):
        command = f"mlops alerts show {alert.id}"
    return command.format(model=alert.model, subject=alert.subject, decision=decision)
