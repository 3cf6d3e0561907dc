"""Alerts of a bake (the watch after a promotion) with too little evidence for a conclusion."""

from mlops_dagster.alerting import Alerts, Rule, Severity
from mlops_dagster.rollout.decide import missing_in_watch
from mlops_dagster.rollout.entities import Decision, Outcome, Phase

RULE = Rule.WATCH_INCONCLUSIVE


def tell_watch(alerts: Alerts, model: str, decision: Decision | None) -> None:
    """Open an alert when a bake exceeds its time for lack of evidence; resolve it once there is evidence.

    A bake that ended without evidence leaves the alert open until the next rollout, as that champion was not observed.
    """
    if decision is None:
        return
    rollout = decision.rollout
    missing = missing_in_watch(rollout.policy, decision.evidence) if rollout.phase is Phase.WATCH else []
    is_due = rollout.promoted_at is not None and decision.at >= rollout.promoted_at + rollout.policy.watch
    if missing and is_due and decision.outcome in (Outcome.HOLD, Outcome.ADVANCE):
        done = "the old champion goes on as a shadow" if decision.outcome is Outcome.HOLD else "the watch has ended"
        summary = f"the watch of {rollout.final} lacks {' and '.join(missing)}"
        alerts.report(
            model,
            RULE,
            Severity.WARNING,
            summary,
            version=rollout.final,
            since=rollout.promoted_at,
            done=done,
            evidence={"rollout": rollout.id},
        )
    elif not missing and any(alert.rule == RULE for alert in alerts.list(model)):
        alerts.resolve(model, RULE, f"the rollout of {rollout.challenger} has evidence, or is another one")
