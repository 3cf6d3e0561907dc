"""Models that no definition names: no job advances or watches their rollouts, so these are paused, with an alert."""

from contextlib import suppress

from mlops_dagster.alerting import Alert, Alerts, Rule, Severity
from mlops_dagster.errors import RolloutNotFoundError, UnreadableError
from mlops_dagster.registry import Deployment, ModelRegistry
from mlops_dagster.rollout.controller import Controller
from mlops_dagster.rollout.entities import Rollout
from mlops_dagster.rollout.store.store import RolloutStore

RULE = Rule.NO_DEFINITION
_REASON = "no definition names the model"


def was_orchestrated(registry: ModelRegistry, model: str) -> bool:
    """Return whether definitions once managed the model: it has a challenger, or a champion that they trained.

    A model whose versions were all registered and promoted by hand never had a definition, and needs none.
    """
    deployment = registry.deployment(model)
    if deployment.canary is not None or deployment.shadows:
        return True
    champion = registry.champion(model)
    return champion is not None and "dagster_run" in champion.lineage


def hold(registry: ModelRegistry, rollouts: RolloutStore, controller: Controller, alerts: Alerts, model: str) -> None:
    """Pause the running rollout of such a model and open an alert. Proof still takes a challenger out."""
    with suppress(UnreadableError):  # an unreadable rollout cannot be judged, but the alert still tells of it
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
        f"no definition that loads names {model}: it is neither monitored nor retrained; it is served as before by "
        f"{_arms(deployment)}; define it again, or take out what is to be served no more",
        version=deployment.champion,
        done="" if rollout is None else f"its rollout of {rollout.challenger} is held; proof still takes it out",
        evidence={"held": held},
    )


def release(rollouts: RolloutStore, controller: Controller, alerts: Alerts, model: str) -> None:
    """Let a rollout go on that was paused for lack of a definition, now that there is one; resolve the alert."""
    alert = _alert(alerts, model)
    if alert is None:
        return
    rollout = _running(rollouts, model)
    if rollout is not None and rollout.paused and rollout.id == alert.evidence.get("held"):
        controller.resume(model, "a definition names the model again")
    alerts.resolve(model, RULE, "a definition names it again")


def _running(rollouts: RolloutStore, model: str) -> Rollout | None:
    """Return the running rollout; None also for one that cannot be read, and so not be judged or paused."""
    try:
        return rollouts.running(model)
    except (RolloutNotFoundError, UnreadableError):
        return None


def _alert(alerts: Alerts, model: str) -> Alert | None:
    return next((alert for alert in alerts.list(model) if alert.rule == RULE), None)


def _arms(deployment: Deployment) -> str:
    canary = [] if deployment.canary is None else [f"canary {deployment.canary} ({deployment.canary_weight:.3g})"]
    shadows = [f"shadow {name}" for name in deployment.shadows]
    return ", ".join([f"champion {deployment.champion or 'none'}", *canary, *shadows])
