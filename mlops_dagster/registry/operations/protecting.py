"""Holds of a model."""

from collections.abc import Mapping

from mlops_dagster.documents.texts import plain
from mlops_dagster.errors import InvalidInputError
from mlops_dagster.registry.entities.deployment_changes import lift, put_on_hold
from mlops_dagster.registry.entities.entities import Deployment
from mlops_dagster.registry.entities.guard_and_hold import Hold
from mlops_dagster.registry.operations.transitions import Traffic


class Protection(Traffic):
    """Holds of a model, and their release.

    A hold is a part of the deployment: each change is a new epoch, which the workers acknowledge.

    All methods decide inside the write transaction, so no other change can come between and no conflict is possible. A
    simultaneous promotion comes first, or fails with a conflict; a hold stays through any change of champion.
    """

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
            raise InvalidInputError(f"a hold of {model} needs a reason: every refused request is given it")
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
