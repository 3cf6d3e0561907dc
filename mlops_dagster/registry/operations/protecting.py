"""The guard of a model's requests, and holds of a model."""

from collections.abc import Mapping

from mlops_dagster.documents.texts import plain
from mlops_dagster.errors import InvalidInputError
from mlops_dagster.registry.entities.deployment_changes import guard, lift, put_on_hold
from mlops_dagster.registry.entities.entities import Deployment
from mlops_dagster.registry.entities.guard_and_hold import GuardPolicy, Hold
from mlops_dagster.registry.operations.transitions import Traffic


class Protection(Traffic):
    """Changes of a model's guard and hold.

    Both are parts of the deployment: each change is a new epoch, which the workers acknowledge.

    All methods decide inside the write transaction, so no other change can come between and no conflict is possible. A
    simultaneous promotion comes first, or fails with a conflict; a hold stays through any change of champion.
    """

    def set_guard(self, model: str, policy: GuardPolicy, *, reason: str = "") -> Deployment:
        """Set the guard of the model's requests; no-op if it is the same. Raises ModelNotFoundError."""
        known = self.deployment(model)
        if known.guard == policy:  # sensors set it every few seconds: an equal one is not written
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
        """Refuse all requests of the model with `reason` until `release`; a model on hold keeps its first hold.

        An `automatic` hold can be lifted by an automatic release too; a person's hold replaces it.
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
        """Answer the model's requests again; an `automatic` release leaves a person's hold in place.

        No-op if the model is not on hold. Raises ModelNotFoundError.
        """
        with self._changing(model, reason, evidence) as ledger:
            before = ledger.deployment()
            return ledger.change_deployment("released", before, lift(before, automatic=automatic))
