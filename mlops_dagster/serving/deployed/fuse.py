"""The fuse: cuts off a canary, or a new champion in its bake, once it is proven bad, without waiting for Dagster."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial

from mlops_dagster.alerting import Rule, Severity
from mlops_dagster.clock import Clock
from mlops_dagster.errors import MlopsError, RefusedError, StorageError
from mlops_dagster.predictions import Rollups
from mlops_dagster.rollout import Decision, Outcome, Rollout, collect, decide
from mlops_dagster.rollout.actions.taking_out import take_out
from mlops_dagster.rollout.reconcile import is_watched
from mlops_dagster.serving.deployed.deployments import Deployments
from mlops_dagster.serving.telemetry.telemetry import Telemetry
from mlops_dagster.serving.upkeep.isolation import for_each
from mlops_dagster.stores import Stores

_ALWAYS = datetime.max.replace(tzinfo=UTC)

logger = logging.getLogger(__name__)


class Fuse:
    """The emergency half of the rollout controller, with the same `decide`: it only ever rolls back.

    `check` takes the bad version out of this process's traffic at once: the champion answers for a canary, the old
    champion for a new one in its bake. `tell` takes it out in the registry, repeated until the registry can be reached.
    Every worker has a fuse, and all workers of a machine read the same rollups: each fuse comes to the verdict by
    itself, and the first to reach the registry makes the change there. Where machines share a database, `check_shared`
    also judges on the counts of all machines: with the traffic split over k machines, the counts of one would prove a
    version bad k times later. The controller finds the change and closes the rollout. A canary that was set by hand has
    no rollout, hence no policy and no fuse. With `MLOPS_FUSE=false` the fuse judges no version.
    """

    def __init__(self, stores: Stores, deployments: Deployments, clock: Clock, telemetry: Telemetry) -> None:
        self._stores = stores
        self._deployments = deployments
        self._clock = clock
        self._telemetry = telemetry
        self._withdrawals: dict[tuple[str, str], Decision] = {}

    def check(self) -> None:
        """Judge canaries, and champions in their bake, on this machine's counts; works while the database is away."""
        self._check(self._stores.local_rollups)

    def check_shared(self) -> None:
        """Judge the same versions on the counts of all machines. Raises StorageError while the database is away."""
        if (shared := self._stores.shared_rollups) is not None:
            self._check(shared)

    def tell(self) -> None:
        """Take out in the registry the versions that were cut off here. Raises StorageError while the registry is away.

        An error of one model is raised when the versions of all others are taken out. Call again until nothing is
        raised: what failed is tried again.
        """

        def take_out_in_registry(cut_off: tuple[str, str]) -> None:
            with self._alerting(*cut_off):
                self._withdraw(*cut_off, self._withdrawals[cut_off])
            self._withdrawals.pop(cut_off, None)

        self._telemetry.untold(len(self._withdrawals))
        if failures := for_each(list(self._withdrawals), take_out_in_registry):
            raise failures[0]
        self._telemetry.untold(len(self._withdrawals))

    def _check(self, rollups: Rollups) -> None:
        """Judge the versions of every model on `rollups`; the first error is raised once all the others are judged."""
        if not self._stores.settings.fuse:
            return
        if failures := for_each(self._deployments.models(), partial(self._judge_model, rollups)):
            raise failures[0]

    def _judge_model(self, rollups: Rollups, model: str) -> None:
        in_force = self._deployments.get(model)
        deployment, rollout = in_force.deployment, in_force.rollout
        if rollout is None:
            return
        if deployment.canary == rollout.challenger:
            self._judge(rollups, rollout, rollout.challenger)
        elif is_watched(deployment, rollout):
            self._judge(rollups, rollout, rollout.final)

    def _judge(self, rollups: Rollups, rollout: Rollout, version: str) -> None:
        model, now = rollout.model, self._clock.now()
        # All counts, also later ones than now: a clock that was set back must not hide those stamped before that.
        evidence = collect(rollups, rollout, now, until=_ALWAYS)
        decision = decide(rollout.policy, rollout, evidence, now)
        if decision.outcome is Outcome.ROLLBACK:
            self._deployments.cut_off(model, version)
            self._telemetry.tripped(model, version)
            self._withdrawals[model, version] = decision
            logger.warning("fuse: %s %s takes no more traffic: %s", model, version, decision.reason)

    def _withdraw(self, model: str, version: str, decision: Decision) -> None:
        registry, reason = self._stores.registry, f"fuse: {decision.reason}"
        try:
            take_out(registry, decision.rollout, reason=reason, evidence=decision.summary())
        except RefusedError as refused:
            logger.exception("fuse: %s %s has changed its stage meanwhile, so it is not taken out", model, version)
            self._alert(model, version, refused)

    @contextmanager
    def _alerting(self, model: str, version: str) -> Iterator[None]:
        """Open an alert for an error: other machines still serve the version.

        While the database is away, it takes no alert either: then the metrics tell.
        """
        try:
            yield
        except StorageError:
            raise
        except MlopsError as error:
            self._alert(model, version, error)
            raise

    def _alert(self, model: str, version: str, error: MlopsError) -> None:
        self._stores.alerts.report(
            model,
            Rule.FUSE_UNTOLD,
            Severity.CRITICAL,
            f"{version} was proven bad and cut off, but the registry does not take it out: {error.told}",
            subject=version,
            version=version,
            done="cut off on the machine that proved it; others may still serve it",
        )
