"""The conditions for production: the gates of a model, and the people who approve its versions."""

from typing import Literal

from sqlalchemy import Connection

from mlops_dagster.database import looking, reading
from mlops_dagster.errors import ApprovalError, KnownBadError, RefusedError, SignatureError
from mlops_dagster.registry.entities.entities import Event, ModelVersion
from mlops_dagster.registry.entities.gate_policy import GatePolicy, failed_gates
from mlops_dagster.registry.operations import signing
from mlops_dagster.registry.operations.policies import Policies, policies_in_force
from mlops_dagster.registry.stores import sql
from mlops_dagster.registry.stores.ledger import Ledger


class Promotion(Policies):
    """The gates of each model, which are among its policies, and the approvals of its versions."""

    def gates(self, model: str) -> GatePolicy:
        """Return the gates among the model's policies, or the default gates. Raises UnreadableError."""
        with looking(self._engine) as connection:
            return _gates(connection, model)

    def closed_gates(self, version: ModelVersion) -> tuple[RefusedError, ...]:
        """Return an error for each closed gate of the version, as it is stored now; empty if all are open."""
        with reading(self._engine) as connection:
            return self._failed(connection, sql.read_version(connection, version.model, version.version))

    def known_bad(self, version: ModelVersion) -> KnownBadError | None:
        """Return an error if another version with the same bytes was rolled back; None otherwise."""
        with looking(self._engine) as connection:
            return _known_bad(connection, version)

    def review(self, version: ModelVersion) -> Event | None:
        """Return the version's last event of review (requested, approved, rejected, or a new card); None if none."""
        with looking(self._engine) as connection:
            return sql.last_review(connection, version.model, version.version)

    def request_approval(self, version: ModelVersion, *, reason: str = "") -> None:
        """Ask the model's approvers to review the version and its card. Raises ApprovalError if it has none."""
        with self._changing(version.model, reason) as ledger:
            found = sql.read_version(ledger.connection, version.model, version.version)
            if not _gates(ledger.connection, found.model).approvers:
                raise ApprovalError(f"{found.model} has no approvers to ask; name them in its gates")
            ledger.record_event("approval_requested", found.version)

    def approve(self, version: ModelVersion, *, reason: str = "") -> None:
        """Approve, as a named approver other than the requester; holds until the card changes. Raises ApprovalError."""
        self._answer(version, "approved", reason)

    def reject(self, version: ModelVersion, *, reason: str) -> None:
        """Reject, as a named approver other than the requester. Raises ApprovalError."""
        self._answer(version, "rejected", reason)

    def _answer(self, version: ModelVersion, answer: Literal["approved", "rejected"], reason: str) -> None:
        with self._changing(version.model, reason) as ledger:
            connection = ledger.connection
            found = sql.read_version(connection, version.model, version.version)
            name = f"{found.model} {found.version}"
            approvers = _gates(connection, found.model).approvers
            if self._actor not in approvers:
                others = ", ".join(approvers) or "for some to be named in its gates"
                raise ApprovalError(f"{self._actor} is not an approver of {found.model}; ask {others}")
            request = sql.last_review(connection, found.model, found.version)
            if request is None or request.kind == "card":
                raise ApprovalError(f"no approval was requested for {name} with its present card; request it first")
            if request.kind == "approval_requested" and request.actor == self._actor:
                raise ApprovalError(f"{self._actor} asked to approve {name}: another person must answer")
            ledger.record_event(answer, found.version)

    def _pass_gates(self, ledger: Ledger, version: ModelVersion, *, force: bool) -> None:
        failures = self._failed(ledger.connection, version)
        if force:
            ledger.record_event("forced", version.version, {"gates": {error.code: error.message for error in failures}})
        elif failures:
            raise failures[0]

    def _failed(self, connection: Connection, version: ModelVersion) -> tuple[RefusedError, ...]:
        policy = _gates(connection, version.model)
        review = sql.last_review(connection, version.model, version.version) if policy.approvers else None
        unsigned = self._unsigned(version) if policy.signature else None
        return failed_gates(version, policy, review, unsigned, _known_bad(connection, version))

    def _unsigned(self, version: ModelVersion) -> SignatureError | None:
        try:
            signing.verify(self._content, version, self._settings.trusted_key)
        except SignatureError as error:
            return error
        return None


def _known_bad(connection: Connection, version: ModelVersion) -> KnownBadError | None:
    twins = [twin.version for twin in sql.rolled_back_twins(connection, version) if not _is_release(twin, version)]
    if not twins:
        return None
    return KnownBadError(
        f"{version.model} {version.version} has the bytes of {twins[0]}, which was rolled back; register others, or, "
        f"if that rollback was wrong, take {twins[0]} itself through Shadow into Production"
    )


def _is_release(one: ModelVersion, other: ModelVersion) -> bool:
    """Return whether one of the two is the release made of the other, a pre-release: they count as one version."""
    return one.lineage.get("pre_release") == other.version or other.lineage.get("pre_release") == one.version


def _gates(connection: Connection, model: str) -> GatePolicy:
    return policies_in_force(connection, model).section("gates", GatePolicy)
