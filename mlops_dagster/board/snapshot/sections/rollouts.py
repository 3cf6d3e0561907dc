"""The rollouts of the page's models: where each stands, both versions side by side, and the evidence of each test."""

from dataclasses import replace
from datetime import timedelta

from mlops_dagster.board.snapshot.entities import Hint, RolloutPanel
from mlops_dagster.board.snapshot.links import asset, grafana
from mlops_dagster.board.snapshot.sections.compared import compared
from mlops_dagster.board.snapshot.sections.proofs import proofs
from mlops_dagster.board.snapshot.view import View
from mlops_dagster.errors import NotFoundError, UnreadableError
from mlops_dagster.loop.shown.rollouts import label_debt, labels_in_words
from mlops_dagster.rollout import Decision, Phase, Rollout, RolloutPolicy, collect, decide
from mlops_dagster.rollout.kept_policy import kept_policy
from mlops_dagster.rollout.reconcile import reconcile


def rollouts(view: View) -> tuple[RolloutPanel, ...]:
    """Return the rollouts that have not ended."""
    running = [rollout for rollout in map(view.rollout, view.models) if rollout is not None]
    found = [_panel(view, rollout) for rollout in running]
    return tuple(panel for panel in found if panel is not None)


def no_rollout(panels: tuple[RolloutPanel, ...]) -> Hint | None:
    """Tell what begins a rollout, if none runs."""
    return None if panels else Hint("no rollout; a new version beside a champion gets one")


def _panel(view: View, stored: Rollout) -> RolloutPanel | None:
    """Return the rollout as the deployment shows it; None if that has ended it, which the next look will record."""
    last = _last_decision(view, stored)
    rollout = _standing(view, _as_it_began(stored) if view.past and last is None else stored, last)
    if rollout.phase.ended:
        return None
    decision = _look(view, rollout)
    policy, evidence = rollout.policy, decision.evidence
    least = {Phase.SHADOW: policy.shadow, Phase.WATCH: policy.watch}.get(rollout.phase, policy.soak)
    waits = last is not None and last.origin == "approval"
    return RolloutPanel(
        id=rollout.id,
        model=rollout.model,
        challenger=rollout.challenger,
        champion=rollout.champion,
        phase=rollout.phase.value,  # type: ignore[arg-type]  # one of those that have not ended
        step=rollout.step,
        steps=policy.steps,
        weight=rollout.weight,
        paused=rollout.paused,
        started_at=rollout.started_at,
        step_at=rollout.step_at,
        soak_until=rollout.step_at + least if rollout.step_at + least > view.at else None,
        deadline=rollout.deadline(view.at),
        outcome=decision.outcome.value,
        reason=decision.reason,
        waits_for_approval=waits,
        decision=None if last is None else last.id,
        decided_at=None if last is None else last.at,
        compared=compared(view.stores.rollups, decision, view.at),
        proofs=proofs(decision),
        labels=labels_in_words(evidence.labels),
        without_label=tuple(label_debt(policy, evidence).items()),
        kept_policy=_kept(view, rollout),
        commands=_commands(rollout, last, waits=waits),
        dagster=asset(view, rollout.model, "deployment"),
        grafana=grafana(view, "rollout", view.at - rollout.started_at, model=rollout.model),
    )


def _last_decision(view: View, rollout: Rollout) -> Decision | None:
    if not view.past:
        return view.stores.rollouts.last_decision(rollout.id)
    earlier = [each for each in view.stores.rollouts.decisions(rollout.id) if each.at <= view.at]
    return earlier[-1] if earlier else None


def _standing(view: View, stored: Rollout, last: Decision | None) -> Rollout:
    """Return the rollout as it stood at the time of the view, by the changes of the deployment until then."""
    try:
        challenger = view.stores.registry.get(stored.model, stored.challenger)
    except NotFoundError:
        return stored
    if not view.past:
        return reconcile(stored, view.deployments[stored.model], challenger)
    rollout = stored if last is None else replace(last.rollout, peaks=last.peaks)
    challenger = replace(challenger, rolled_back=False, reason="")  # its end came after the time of the view
    for event in view.stores.registry.history(stored.model):
        if event.at <= view.at and not rollout.phase.ended:
            rollout = reconcile(rollout, event.deployment, challenger)
    return rollout


def _as_it_began(stored: Rollout) -> Rollout:
    """Return a rollout of which nothing had been decided yet."""
    return replace(
        stored,
        phase=Phase.SHADOW,
        step=0,
        weight=0.0,
        canary_at=None,
        step_at=stored.started_at,
        paused=False,
        peaks={},
        epoch=0,
        ended_at=None,
        reason="",
        promoted_at=None,
        paused_at=None,
        paused_for=timedelta(),
    )


def _look(view: View, rollout: Rollout) -> Decision:
    """Return the decision that the evidence gives at the time of the view, without recording it."""
    on_trial = rollout.final if rollout.phase is Phase.WATCH else rollout.challenger
    why = None if view.past else view.stores.registry.why_not_loaded(rollout.model, on_trial)
    evidence = replace(collect(view.stores.rollups, rollout, view.at), not_loaded=why or "")
    return decide(rollout.policy, rollout, evidence, view.at)


def _kept(view: View, rollout: Rollout) -> str:
    published = view.policies(rollout.model)
    try:
        return kept_policy(rollout, published.section("rollout", RolloutPolicy)) if published.event else ""
    except UnreadableError as error:
        return error.told


def _commands(rollout: Rollout, last: Decision | None, *, waits: bool) -> tuple[str, ...]:
    model = rollout.model
    return (
        *([f"mlops models approve {model} {rollout.challenger} --reason '...'"] if waits else []),
        *([f"mlops rollouts resume {model} --reason '...'"] if rollout.paused else []),
        f"mlops rollouts status {model}",
        *([] if last is None else [f"mlops rollouts explain {last.id}"]),
        *([] if rollout.paused else [f"mlops rollouts pause {model} --reason '...'"]),
        f"mlops rollouts abort {model} --reason '...'",
    )
