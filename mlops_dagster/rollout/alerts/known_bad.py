"""Alerts of a version that gets no rollout, because its bytes were rolled back under another number."""

from mlops_dagster.alerting import Alerts, Rule, Severity
from mlops_dagster.registry import ModelRegistry, Stage

RULE = Rule.KNOWN_BAD


def tell_known_bad(registry: ModelRegistry, alerts: Alerts, model: str) -> None:
    """Open an alert while a model's newest version has bytes that were rolled back; resolve it after that."""
    newest = registry.get(model, registry.names(model)[-1])
    bad = registry.known_bad(newest) if newest.stage is Stage.REGISTERED else None
    if bad is not None:
        alerts.report(
            model,
            RULE,
            Severity.WARNING,
            bad.told,
            version=newest.version,
            since=newest.created_at,
            done="it gets no rollout",
            evidence={"digest": newest.digest},
        )
    elif any(alert.rule == RULE for alert in alerts.list(model)):
        alerts.resolve(model, RULE, f"the newest version is {newest.version} ({newest.stage})")
