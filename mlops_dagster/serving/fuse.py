"""Cuts a canary off as soon as the evidence proves it bad, without waiting for anyone."""

import logging

from mlops_dagster.clock import Clock
from mlops_dagster.errors import RefusedError
from mlops_dagster.predictions import Rollups
from mlops_dagster.registry import ModelRegistry
from mlops_dagster.rollout import Decision, Outcome, Rollout, collect, decide
from mlops_dagster.serving.deployments import Deployments
from mlops_dagster.serving.telemetry import Telemetry

logger = logging.getLogger(__name__)


class Fuse:
    """The emergency half of the rollout controller, with the same `decide`: it only ever rolls back.

    First here and now, then in the registry, which is tried again until it is told. The controller finds the change
    there and closes the rollout. A canary that was set by hand has no rollout, hence no policy, and no fuse.
    """

    def __init__(
        self, registry: ModelRegistry, rollups: Rollups, deployments: Deployments, clock: Clock, telemetry: Telemetry
    ) -> None:
        self._registry = registry
        self._rollups = rollups
        self._deployments = deployments
        self._clock = clock
        self._telemetry = telemetry
        self._withdrawals: dict[tuple[str, str], Decision] = {}

    def check(self) -> None:
        """Judge every running canary on the rollups as they are."""
        for model in self._deployments.models():
            in_force = self._deployments.get(model)
            canary, rollout = in_force.deployment.canary, in_force.rollout
            if canary is not None and rollout is not None and rollout.challenger == canary:
                self._judge(rollout)
        for (model, version), decision in list(self._withdrawals.items()):
            self._withdraw(model, version, decision)
            del self._withdrawals[model, version]

    def _judge(self, rollout: Rollout) -> None:
        model, canary, now = rollout.model, rollout.challenger, self._clock.now()
        decision = decide(rollout.policy, rollout, collect(self._rollups, rollout, now), now)
        if decision.outcome is Outcome.ROLLBACK:
            self._deployments.cut_off(model)
            self._telemetry.tripped(model, canary)
            self._withdrawals[model, canary] = decision
            logger.warning("fuse: %s %s takes no more traffic: %s", model, canary, decision.reason)

    def _withdraw(self, model: str, version: str, decision: Decision) -> None:
        try:
            self._registry.withdraw(
                self._registry.get(model, version), reason=f"fuse: {decision.reason}", evidence=decision.summary()
            )
        except RefusedError:
            logger.exception(
                "fuse: %s %s has changed its stage meanwhile, and is left to whoever did that", model, version
            )
