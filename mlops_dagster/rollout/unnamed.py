"""Models that no definition names: nobody brings their rollouts on or watches them, so they are held and told of."""

from contextlib import suppress

from mlops_dagster.alerting import Alert, Alerts, Severity
from mlops_dagster.errors import RolloutNotFoundError, UnreadableError
from mlops_dagster.registry import Deployment, ModelRegistry
from mlops_dagster.rollout.controller import Controller
from mlops_dagster.rollout.entities import Rollout
from mlops_dagster.rollout.store.store import RolloutStore

RULE = "no_definition"
_REASON = "no definition names the model"


def was_orchestrated(registry: ModelRegistry, model: str) -> bool:
    """Whether definitions looked after the model once: it has a challenger, or a champion that they trained.

    What was registered and promoted by hand alone has never had a definition, and needs none.
    """
    deployment = registry.deployment(model)
    if deployment.canary is not None or deployment.shadows:
        return True
    champion = registry.champion(model)
    return champion is not None and "dagster_run" in champion.lineage


def hold(registry: ModelRegistry, rollouts: RolloutStore, controller: Controller, alerts: Alerts, model: str) -> None:
    """Stop the running rollout of such a model where it is, and open an alert. Proof still takes a challenger out."""
    with suppress(UnreadableError):  # nobody can judge it, but that it is there is told
        decision = controller.check_limits(model)
        if decision is not None:
            controller.enact(decision)
    open_alert, rollout = _alert(alerts, model), _running(rollouts, model)
    held = None if open_alert is None else open_alert.evidence.get("held")
    if rollout is not None and not rollout.paused:
        held = controller.pause(model, _REASON).id
    deployment = registry.deployment(model)
    alerts.report(
        model,
        RULE,
        Severity.WARNING,
        f"no definition that loads names {model}: nobody monitors or retrains it; it is served as before by "
        f"{_arms(deployment)}; define it again, or take out what is to be served no more",
        done="" if rollout is None else f"its rollout of {rollout.challenger} is held; proof still takes it out",
        evidence={"held": held},
    )


def release(rollouts: RolloutStore, controller: Controller, alerts: Alerts, model: str) -> None:
    """A definition names the model again: let a rollout go on that was held for want of one; resolve the alert."""
    alert = _alert(alerts, model)
    if alert is None:
        return
    rollout = _running(rollouts, model)
    if rollout is not None and rollout.paused and rollout.id == alert.evidence.get("held"):
        controller.resume(model, "a definition names the model again")
    alerts.resolve(model, RULE, "a definition names it again")


def _running(rollouts: RolloutStore, model: str) -> Rollout | None:
    """None also for one that cannot be read, which nobody can judge or pause."""
    try:
        return rollouts.running(model)
    except (RolloutNotFoundError, UnreadableError):
        return None


def _alert(alerts: Alerts, model: str) -> Alert | None:
    return next((alert for alert in alerts.list(model) if alert.rule == RULE), None)


def _arms(deployment: Deployment) -> str:
    canary = [] if deployment.canary is None else [f"canary {deployment.canary} ({deployment.canary_weight:.3g})"]
    shadows = [f"shadow {name}" for name in deployment.shadows]
    return ", ".join([f"champion {deployment.champion or 'nobody'}", *canary, *shadows])
