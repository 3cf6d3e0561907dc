"""Controller of rollouts: collects evidence, decides, and changes the deployment by compare-and-set."""

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace

from mlops_dagster.clock import Clock
from mlops_dagster.errors import (
    AlreadyRunningError,
    EpochConflictError,
    RefusedError,
)
from mlops_dagster.predictions import Rollups
from mlops_dagster.registry import Deployment, ModelRegistry, ModelVersion, Stage
from mlops_dagster.rollout.actions.approval import waits_for_approval
from mlops_dagster.rollout.actions.next_challenger import next_challenger
from mlops_dagster.rollout.actions.taking_out import take_out
from mlops_dagster.rollout.claims.rare_strata import strata_of
from mlops_dagster.rollout.claims.shared_causes import shared_causes
from mlops_dagster.rollout.collect import collect
from mlops_dagster.rollout.decide import decide
from mlops_dagster.rollout.entities import Decision, Outcome, Phase, Rollout, outcome_of
from mlops_dagster.rollout.policy import RolloutPolicy
from mlops_dagster.rollout.reconcile import extra_version, receives_traffic, reconcile
from mlops_dagster.rollout.store.store import RolloutStore


class Controller:
    """A controller of the rollouts of any models. Several may run at once, anywhere, and be killed at any line.

    A controller keeps no state between two calls, every step is a compare-and-set on the deployment's epoch, and each
    look first updates the stored rollout from the deployment.
    """

    def __init__(
        self,
        registry: ModelRegistry,
        rollouts: RolloutStore,
        rollups: Rollups,
        policy_of: Callable[[str], RolloutPolicy],
        clock: Clock,
    ) -> None:
        self._registry = registry
        self._rollouts = rollouts
        self._rollups = rollups
        self._policy_of = policy_of
        self._clock = clock

    def tick(self, model: str) -> Decision | None:
        """Collect the evidence, decide and act; return the decision, or None without a challenger."""
        decision = self.assess(model)
        if decision is not None:
            self.enact(decision)
        return decision

    def assess(self, model: str) -> Decision | None:
        """Return the recorded decision about the running rollout of `model`; start one if a new version waits for it.

        If the fuse or a person has already ended the rollout, the decision says so, with their reason.
        """
        rollout = self._rollouts.active(model) or self._start(model)
        return None if rollout is None else self._look(rollout) or self.assess(model)

    def check_limits(self, model: str) -> Decision | None:
        """Return the recorded rollback of the running rollout, by the evidence or already done by the fuse or a person.

        Returns None, and writes nothing, if there is no reason for a rollback: nothing else is started, advanced or
        ended.
        """
        rollout = self._rollouts.active(model)
        if rollout is None:
            return None
        seen = reconcile(rollout, *self._state(rollout))
        bad = seen.phase is Phase.ROLLED_BACK if seen.phase.ended else self.look(seen).outcome is Outcome.ROLLBACK
        decision = self._look(rollout) if bad else None
        return decision if decision is not None and decision.outcome is Outcome.ROLLBACK else None

    def look(self, rollout: Rollout) -> Decision:
        """Return the decision about a running rollout at this moment, without recording it."""
        now, why = self._clock.now(), self._registry.why_not_loaded(rollout.model, _on_trial(rollout))
        evidence = replace(collect(self._rollups, rollout, now), not_loaded=why or "")
        return decide(rollout.policy, rollout, evidence, now)

    def enact(self, decision: Decision) -> Rollout:
        """Carry out a decision, unless the deployment has changed since; then the next look decides again. Idempotent.

        Raises RefusedError when the gates refuse a promotion, after the rollout was given up for that.
        """
        rollout = self._rollouts.get(decision.rollout.id)
        if rollout.phase.ended or decision.outcome is Outcome.HOLD:
            return rollout
        with suppress(EpochConflictError):
            self._change_deployment(decision, paused=rollout.paused)
        return self._followed(rollout, *self._state(rollout))

    # Manual actions: each is an event with actor and reason, and raises RolloutNotFoundError if no rollout runs.

    def pause(self, model: str, reason: str) -> Rollout:
        """Pause a rollout at its step: it still rolls back on proof, but never advances."""
        rollout = self._rollouts.pause(model, self._clock.now())
        self._registry.note(self._state(rollout)[1], "paused", reason=reason)
        return rollout

    def resume(self, model: str, reason: str) -> Rollout:
        """Let a paused rollout go on; its deadline has moved by the time it was paused."""
        rollout = self._rollouts.resume(model, self._clock.now())
        self._registry.note(self._state(rollout)[1], "resumed", reason=reason)
        return rollout

    def advance(self, model: str, reason: str) -> Rollout:
        """Advance at once, paused or not and even without evidence; at the last step, promote.

        Raises RefusedError if the challenger is proven worse, or a gate is closed (the rollout goes on), and
        EpochConflictError if the rollout has gone on meanwhile.
        """
        decided = self.look(self._running(model))
        rollout = decided.rollout
        if decided.outcome is Outcome.ROLLBACK:
            raise RefusedError(f"{model} {rollout.challenger} goes no further, it is {decided.reason}")
        promotes = rollout.phase is Phase.CANARY and rollout.step >= len(rollout.policy.steps)
        if promotes and (closed := self._registry.closed_gates(self._state(rollout)[1])):
            raise closed[0]
        return self._by_hand(decided, Outcome.PROMOTE if promotes else Outcome.ADVANCE, reason)

    def abort(self, model: str, reason: str) -> Rollout:
        """Take the challenger out without calling it bad; the same version is not tried again."""
        return self._by_hand(self.look(self._running(model)), Outcome.GIVE_UP, reason)

    def discard(self, model: str, reason: str) -> str | None:
        """Abort a rollout that cannot be read: take out its version if it gets requests, and return the challenger."""
        challenger = self._rollouts.discard(model)
        deployment = self._registry.deployment(model)
        if challenger is not None and receives_traffic(deployment, challenger):
            self._registry.transition(self._registry.get(model, challenger), Stage.REGISTERED, reason=reason)
        return challenger

    def _running(self, model: str) -> Rollout:
        rollout = self._rollouts.running(model)
        rollout = self._followed(rollout, *self._state(rollout))
        return self._rollouts.running(model) if rollout.phase.ended else rollout

    def _by_hand(self, decided: Decision, outcome: Outcome, reason: str) -> Rollout:
        """Record a manual decision with the evidence of this moment, and carry it out."""
        decision = self._rollouts.record(replace(decided, outcome=outcome, reason=reason, origin="hand"))
        if decision is None:
            raise EpochConflictError(
                f"the rollout of {decided.rollout.model} has gone on meanwhile; look at it again and decide anew"
            )
        self._change_deployment(decision, paused=False)
        return self._followed(decision.rollout, *self._state(decision.rollout))

    def _start(self, model: str) -> Rollout | None:
        """Start a rollout: first the shadow, then the row. If cut short, the next call finds the version in shadow."""
        deployment = self._registry.deployment(model)
        challenger = next_challenger(self._registry, deployment, over=self._rollouts.challengers(model))
        if deployment.champion is None or challenger is None:
            return None
        now, policy = self._clock.now(), self._policy_of(model)
        try:
            if not receives_traffic(deployment, challenger.version):
                self._registry.transition(
                    challenger, Stage.SHADOW, reason="its rollout begins", expected_epoch=deployment.epoch
                )
            return self._rollouts.start(
                model,
                deployment.champion,
                challenger.version,
                policy,
                epoch=deployment.epoch,
                at=now,
                shared=shared_causes(challenger, self._registry.list(model)),
                strata=strata_of(challenger),
                task=challenger.task,
            )
        except (EpochConflictError, AlreadyRunningError):
            return self._rollouts.active(model)

    def _judge(self, seen: Rollout, deployment: Deployment, challenger: ModelVersion) -> Decision | None:
        """Return the recorded decision on the evidence; None if the rollout has gone on meanwhile."""
        rollout = self._followed(seen, deployment, challenger)
        if rollout.phase.ended:
            return None
        decision = self.look(rollout)
        if decision.outcome is Outcome.PROMOTE and waits_for_approval(self._registry, challenger, decision.reason):
            reason = f"{decision.reason}; waits for approval"
            decision = replace(decision, outcome=Outcome.HOLD, reason=reason, origin="approval")
        return self._rollouts.record(decision)

    def _notice(self, seen: Rollout, deployment: Deployment, challenger: ModelVersion) -> Decision | None:
        """Record how others ended the rollout; None once that is recorded, and then the stored rollout is ended too."""
        before = replace(self._rollouts.get(seen.id), epoch=seen.epoch)
        if before.phase.ended:
            return None
        last, outcome = self._rollouts.last_decision(seen.id), outcome_of(before, seen)
        if last is not None and last.outcome is outcome and extra_version(deployment, seen) is None:
            self._followed(seen, deployment, challenger)
            return None
        return self._rollouts.record(
            replace(self.look(before), outcome=outcome, reason=seen.reason, origin="deployment")
        )

    def _look(self, rollout: Rollout) -> Decision | None:
        """Return the recorded decision; None if there is nothing to decide any more."""
        deployment, challenger = self._state(rollout)
        seen = reconcile(rollout, deployment, challenger)
        decided = self._notice if seen.phase.ended else self._judge
        return decided(seen, deployment, challenger)

    def _change_deployment(self, decision: Decision, *, paused: bool) -> None:
        rollout = decision.rollout
        deployment, challenger = self._state(rollout)
        leaving = extra_version(deployment, rollout)
        if leaving is None:
            return
        reason, evidence = decision.reason, decision.summary()
        if decision.origin == "deployment":
            self._dismiss(rollout, leaving, reason, evidence)
            return
        match decision.outcome:
            case Outcome.ROLLBACK:
                take_out(self._registry, rollout, reason=reason, evidence=evidence)
            case Outcome.GIVE_UP if not paused:
                self._dismiss(rollout, leaving, reason, evidence)
            case Outcome.ADVANCE if not paused and rollout.phase is Phase.WATCH:
                self._dismiss(rollout, leaving, reason, evidence, rollout.epoch)
            case Outcome.ADVANCE if not paused:
                self._advance(challenger, decision)
            case Outcome.PROMOTE if not paused:
                self._promote(challenger, decision)

    def _dismiss(
        self,
        rollout: Rollout,
        version: str,
        reason: str,
        evidence: Mapping[str, object] | None = None,
        epoch: int | None = None,
    ) -> None:
        """Return the challenger to REGISTERED, or the old champion after its bake to DEPRECATED."""
        stage = Stage.REGISTERED if version == rollout.challenger else Stage.DEPRECATED
        found = self._registry.get(rollout.model, version)
        self._registry.transition(found, stage, reason=reason, evidence=evidence, expected_epoch=epoch)

    def _advance(self, challenger: ModelVersion, decision: Decision) -> None:
        rollout, reason, evidence = decision.rollout, decision.reason, decision.summary()
        weight = rollout.policy.steps[rollout.step]
        if rollout.phase is Phase.SHADOW:
            self._registry.transition(
                challenger,
                Stage.CANARY,
                weight=weight,
                reason=reason,
                evidence=evidence,
                expected_epoch=rollout.epoch,
            )
        else:
            self._registry.set_canary_weight(
                rollout.model, weight, reason=reason, evidence=evidence, expected_epoch=rollout.epoch
            )

    def _promote(self, challenger: ModelVersion, decision: Decision) -> None:
        epoch = decision.rollout.epoch
        try:
            self._registry.transition(
                challenger,
                Stage.PRODUCTION,
                reason=decision.reason,
                evidence=decision.summary(),
                expected_epoch=epoch,
                # The bake begins in the same step as the promotion, so that no kill can come between the two.
                watched=decision.rollout.policy.bake_hours > 0,
            )
        except RefusedError as refusal:
            self._registry.transition(
                challenger, Stage.REGISTERED, reason=f"promotion refused: {refusal}", expected_epoch=epoch
            )
            self._followed(decision.rollout, *self._state(decision.rollout))
            raise

    def _state(self, rollout: Rollout) -> tuple[Deployment, ModelVersion]:
        deployment = self._registry.deployment(rollout.model)
        return deployment, self._registry.get(rollout.model, _on_trial(rollout))

    def _followed(self, rollout: Rollout, deployment: Deployment, challenger: ModelVersion) -> Rollout:
        def changed(stored: Rollout) -> Rollout:
            seen = reconcile(stored, deployment, challenger)
            # Ended only once challenger or old champion is out: no later look would take it out.
            return stored if seen.phase.ended and extra_version(deployment, seen) is not None else seen

        return self._rollouts.change(rollout.id, changed)


def _on_trial(rollout: Rollout) -> str:
    """Return the version on trial in the rollout, under its present name."""
    return rollout.final if rollout.phase is Phase.WATCH else rollout.challenger
