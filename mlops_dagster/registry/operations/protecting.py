"""The guard of a model's requests, and putting a model on hold."""

from collections.abc import Mapping

from mlops_dagster.documents.texts import plain
from mlops_dagster.errors import InvalidInputError
from mlops_dagster.registry.entities.deployment_changes import guard, lift, put_on_hold
from mlops_dagster.registry.entities.entities import Deployment
from mlops_dagster.registry.entities.guard_and_hold import GuardPolicy, Hold
from mlops_dagster.registry.operations.transitions import Traffic


class Protection(Traffic):
    """Parts of the deployment, so each change is an epoch of its own, and the workers acknowledge it.

    All decide inside the write transaction: nobody can be quicker, so there is no conflict to lose to. Who promotes at
    the same time loses to them, or comes before them; the hold stays whoever is champion.
    """

    def set_guard(self, model: str, policy: GuardPolicy, *, reason: str = "") -> Deployment:
        """Guard the model's requests so from now on; the same again changes nothing. Raises ModelNotFoundError."""
        known = self.deployment(model)
        if known.guard == policy:  # sensors say it every few seconds: that is no write
            return known
        with self._changing(model, reason) as ledger:
            before = ledger.deployment()
            return ledger.change_deployment("guard", before, guard(before, policy))

    def hold(
        self,
        model: str,
        reason: str,
        *,
        automatic: bool = False,
        evidence: Mapping[str, object] | None = None,
    ) -> Deployment:
        """Answer no request of the model until `release`: they get the `reason`. On hold already, it stays as it is.

        An `automatic` hold is lifted by an automatic release as well; a person's takes its place.
        Raises ModelNotFoundError, and InvalidInputError without a reason.
        """
        if not plain(reason):
            raise InvalidInputError(f"a hold of {model} needs a reason: everybody who asks is told it")
        with self._changing(model, reason, evidence, urgent=True) as ledger:
            before = ledger.deployment()
            return ledger.change_deployment("held", before, put_on_hold(before, Hold(ledger.reason, automatic)))

    def release(
        self,
        model: str,
        reason: str,
        *,
        automatic: bool = False,
        evidence: Mapping[str, object] | None = None,
    ) -> Deployment:
        """Answer the model's requests again; an `automatic` release leaves a person's hold as it is.

        Changes nothing where there is none to lift. Raises ModelNotFoundError.
        """
        with self._changing(model, reason, evidence) as ledger:
            before = ledger.deployment()
            return ledger.change_deployment("released", before, lift(before, automatic=automatic))
