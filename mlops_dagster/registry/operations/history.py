"""The past of the registry: every event, the deployment at any time, and proof that neither was changed."""

from datetime import datetime

from mlops_dagster.clock import in_utc
from mlops_dagster.database import reading
from mlops_dagster.registry.entities.deployment_changes import empty
from mlops_dagster.registry.entities.entities import AuditHead, Deployment, Event
from mlops_dagster.registry.operations.audit import audit
from mlops_dagster.registry.session import Session
from mlops_dagster.registry.stores import sql


class History(Session):
    """The history of models, and its audit."""

    def history(self, model: str) -> "list[Event]":
        """Return every event of the model, oldest first; raises ModelNotFoundError."""
        with reading(self._engine) as connection:
            sql.read_deployment(connection, model)
            return sql.history(connection, model)

    def events_after(self, event: int, limit: int = 500) -> "list[Event]":
        """Return the next `limit` events of all models after the one with the id `event`, in the order of writing.

        An event that cannot be read is left out and logged.
        """
        with reading(self._engine) as connection:
            return sql.next_events(connection, event, limit)

    def as_of(self, model: str, when: datetime) -> Deployment:
        """Return the deployment of `model` as of `when`, by the registry's clock; empty (epoch 0) before the first."""
        with reading(self._engine) as connection:
            sql.read_deployment(connection, model)
            event = sql.last_event(connection, model, in_utc(when))
            return empty(model, in_utc(when)) if event is None else event.deployment

    def audit(self) -> AuditHead:
        """Check every event against the chain and the heads noted outside, and every row against the events.

        Raises AuditError naming the first row that was changed, moved or removed.
        """
        # Read the noted heads first: a change written meanwhile has its event in the database before its head is noted.
        noted = self._anchors.read()
        with reading(self._engine) as connection:
            return audit(connection, noted)
