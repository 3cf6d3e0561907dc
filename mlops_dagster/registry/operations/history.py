"""What was: every event, the deployment at any time, and proof that nobody changed either."""

from datetime import datetime

from mlops_dagster.clock import in_utc
from mlops_dagster.database import reading
from mlops_dagster.registry.entities.deployment_changes import empty
from mlops_dagster.registry.entities.entities import AuditHead, Deployment, Event
from mlops_dagster.registry.operations.audit import audit
from mlops_dagster.registry.session import Session
from mlops_dagster.registry.stores import sql


class History(Session):
    """Look back, and check."""

    def history(self, model: str) -> "list[Event]":
        """Every event, oldest first; raises ModelNotFoundError."""
        with reading(self._engine) as connection:
            sql.read_deployment(connection, model)
            return sql.history(connection, model)

    def as_of(self, model: str, when: datetime) -> Deployment:
        """Who answered at `when`, by the registry's clock; nobody (epoch 0) before the first version."""
        with reading(self._engine) as connection:
            sql.read_deployment(connection, model)
            event = sql.last_event(connection, model, in_utc(when))
            return empty(model, in_utc(when)) if event is None else event.deployment

    def audit(self) -> AuditHead:
        """Check every event against the chain and the heads noted outside, and every row against the events.

        Raises AuditError naming the first row that is not as it was written.
        """
        # The heads first: what is written meanwhile has its event in the database before its head is noted.
        noted = self._anchors.read()
        with reading(self._engine) as connection:
            return audit(connection, noted)
