"""The steps of rollouts: proof against a challenger, the other steps, the first champion, and the champion's floor."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from mlops_dagster.errors import RefusedError
from mlops_dagster.loop.apply_floor import apply_floor
from mlops_dagster.loop.spec import ModelSpec
from mlops_dagster.registry import Stage
from mlops_dagster.rollout import Controller, Decision, Outcome
from mlops_dagster.rollout.actions.first_champion import (
    REASON,
    Candidate,
    candidates_of,
    choose_first,
    is_asked_for,
    tell_chosen,
    tell_refused,
)
from mlops_dagster.rollout.alerts.champion_limit import tell_champion_limit
from mlops_dagster.rollout.alerts.known_bad import tell_known_bad
from mlops_dagster.rollout.alerts.watch import tell_watch
from mlops_dagster.rollout.kept_policy import kept_policy
from mlops_dagster.stores import Stores

PROMOTION: Final = "promotion"
PROMOTION_REFUSED: Final = "promotion refused"
ROLLBACK: Final = "rollback"

_ACTIONS: Final = {Outcome.PROMOTE: PROMOTION, Outcome.ROLLBACK: ROLLBACK}
"""The names of the actions that people take as well; other outcomes are named by their value."""


@dataclass(frozen=True, slots=True)
class Step:
    """An action on the versions that serve a model, or the reason why there is none."""

    reason: str
    action: str = ""
    """The action, such as "advance" or "rollback"; empty if the versions that serve stay as they are."""
    decision: Decision | None = None
    candidate: Candidate | None = None
    """The version whose gates were found open or closed, if that was not known before."""

    @property
    def said(self) -> str:
        """The step in a sentence."""
        return f"{self.action}: {self.reason}" if self.action else self.reason


def take_out(stores: Stores, spec: ModelSpec) -> Step:
    """Roll a challenger back if the evidence proves it bad, or close the rollout if the fuse has done so already.

    Nothing else is started, advanced or ended.
    """
    controller = stores.controller(lambda _model: spec.rollout)
    decision = controller.check_limits(spec.model)
    if decision is None:
        return Step("nothing is proven against a challenger")
    controller.enact(decision)
    return Step(decision.reason, ROLLBACK, decision)


def roll_out(stores: Stores, spec: ModelSpec) -> Step:
    """Start, advance or end the rollout of a model by its evidence; without a champion, promote the first version."""
    champion = stores.champion(spec.model)
    if champion is None:
        return _first_champion(stores, spec)
    tell_chosen(stores.alerts, spec.model, champion.version)
    tell_known_bad(stores.registry, stores.alerts, spec.model)
    controller = stores.controller(lambda _model: spec.rollout)
    decision = controller.assess(spec.model)
    tell_champion_limit(stores.alerts, spec.model, decision)
    tell_watch(stores.alerts, spec.model, decision)
    return Step("no challenger") if decision is None else _enact(controller, spec, decision)


def roll_back_under_floor(stores: Stores, spec: ModelSpec) -> Step:
    """Roll the champion back if the latest daily report finds it under its floor, and its predecessor proven better."""
    found = apply_floor(stores, spec)
    if not found.roll_back:
        return Step(found.reason)
    stores.registry.rollback(spec.model, reason=found.reason, to=found.to, bad=found.bad)
    return Step(found.reason, ROLLBACK)


def in_rollout(stores: Stores, specs: Iterable[ModelSpec]) -> list[ModelSpec]:
    """Return the models with a running rollout."""
    running = stores.rollouts.running_models()
    return [spec for spec in specs if spec.model in running]


def _enact(controller: Controller, spec: ModelSpec, decision: Decision) -> Step:
    outcome = decision.outcome
    try:
        controller.enact(decision)
    except RefusedError as refusal:  # the controller has ended the rollout
        return Step(refusal.told, PROMOTION_REFUSED, decision)
    if outcome is not Outcome.HOLD:
        return Step(decision.reason, _ACTIONS.get(outcome, outcome.value), decision)
    kept = kept_policy(decision.rollout, spec.rollout)
    return Step("; ".join(filter(None, (f"{outcome}: {decision.reason}", kept))))


def _first_champion(stores: Stores, spec: ModelSpec) -> Step:
    """Promote the newest version whose gates are open: without a champion there is nothing to compare it with."""
    chosen = choose_first(candidates_of(stores.registry, stores.versions(spec.model)))
    if chosen is None:
        return Step("no version yet; its job `retrain` makes one")
    if is_asked_for(stores.registry, chosen):
        return Step(f"{chosen.version.version} waits for approval: {', '.join(spec.gates.approvers)}")
    if chosen.closed:
        is_new = tell_refused(stores.alerts, chosen)
        return Step("; ".join(gate.told for gate in chosen.closed), candidate=chosen if is_new else None)
    stores.registry.transition(chosen.version, Stage.PRODUCTION, reason=REASON)
    tell_chosen(stores.alerts, spec.model, chosen.version.version)
    return Step(REASON, PROMOTION, candidate=chosen)
