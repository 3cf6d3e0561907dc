"""The end of the event chain, to which one write transaction appends."""

from collections.abc import Mapping

from sqlalchemy import Connection

from mlops_dagster.registry.stores import queries, sql
from mlops_dagster.registry.stores.chain import chained_hash


class EventLog:
    """The last event of the chain, read once: the transaction keeps all other writers out while it lasts."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self.last, self.hash = sql.head(connection)

    def append(self, content: Mapping[str, object]) -> None:
        """Append an event; `content` is its row without id and hash."""
        row = {**content, "id": self.last + 1}
        digest = chained_hash(self.hash, row)
        self._connection.execute(queries.INSERT_EVENT, {**row, "hash": digest})
        self.last, self.hash = self.last + 1, digest
