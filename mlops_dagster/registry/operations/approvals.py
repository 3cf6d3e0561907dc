"""The conditions for production: the gates of a model, and the people who approve its versions."""

from contextlib import suppress
from typing import Literal

from sqlalchemy import Connection

from mlops_dagster.database import looking, reading
from mlops_dagster.documents.readable import reading_row
from mlops_dagster.errors import ApprovalError, KnownBadError, RefusedError, SignatureError, UnreadableError
from mlops_dagster.registry.entities.entities import Event, ModelVersion
from mlops_dagster.registry.entities.gate_policy import GatePolicy, failed_gates
from mlops_dagster.registry.operations import signing
from mlops_dagster.registry.session import Session
from mlops_dagster.registry.stores import sql
from mlops_dagster.registry.stores.ledger import Ledger


class Promotion(Session):
    """The gates of each model, and the approvals of its versions. Both are events, so their history is kept."""

    def gates(self, model: str) -> GatePolicy:
        """Return the gates of the model, or the default gates if none were set."""
        with looking(self._engine) as connection:
            return _gates(connection, model)

    def set_gates(self, model: str, policy: GatePolicy, *, reason: str = "") -> None:
        """Set the model's gates; no-op if they are the same. Raises ModelNotFoundError."""
        with suppress(UnreadableError):  # the new gates replace stored ones that cannot be read
            if self.gates(model) == policy:
                return
        with self._changing(model, reason) as ledger:
            ledger.record_event("gates", None, {"gates": policy.model_dump(mode="json")})

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
                raise ApprovalError(f"{found.model} has no approvers, so nobody is to be asked; its gates name them")
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
                raise ApprovalError(f"{self._actor} is no approver of {found.model}; ask {others}")
            request = sql.last_review(connection, found.model, found.version)
            if request is None or request.kind == "card":
                raise ApprovalError(f"nobody has asked to approve {name} with its present card; request it first")
            if request.kind == "approval_requested" and request.actor == self._actor:
                raise ApprovalError(f"{self._actor} asked to approve {name}: somebody else must answer")
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
    event = sql.last_of_kinds(connection, model, ("gates",))
    if event is None:
        return GatePolicy()
    with reading_row(f"the gates of {model} (event {event.id})", "set them again, or restore a backup of the database"):
        return GatePolicy.model_validate(event.evidence["gates"])
