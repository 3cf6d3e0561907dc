"""The entries of the outbox, for people to look at and to try again."""

from collections.abc import Sequence

from sqlalchemy import select, update

from mlops_dagster.alerting.delivery.entry import Entry, State, entry_of
from mlops_dagster.alerting.delivery.tables import outbox
from mlops_dagster.clock import Clock, time_text
from mlops_dagster.database import migrate, open_database, reading, writing
from mlops_dagster.documents.readable import readable


class Letters:
    """The entries of the outbox in `database`; no file of channels is needed to read them."""

    def __init__(self, database: str, clock: Clock) -> None:
        self._engine, self._clock = open_database(database), clock
        migrate(self._engine)

    def list(self, states: Sequence[State] = (State.WAITING, State.DEAD)) -> Sequence[Entry]:
        """Return the entries in these states, oldest first."""
        query = select(outbox).where(outbox.c.state.in_([each.value for each in states])).order_by(outbox.c.id)
        with reading(self._engine) as connection:
            return readable(connection.execute(query).mappings(), entry_of)

    def retry(self, channel: str | None = None) -> int:
        """Let entries that were given up wait again, and all that wait be tried at once; return their number.

        Messages that a deliverer has right now are left to it.
        """
        now = time_text(self._clock.now())
        states = [State.WAITING.value, State.DEAD.value]
        change = update(outbox).where(outbox.c.state.in_(states), outbox.c.leased_until.is_(None))
        if channel is not None:
            change = change.where(outbox.c.channel == channel)
        values = {"state": State.WAITING.value, "next_at": now, "enqueued_at": now, "attempts": 0, "done_at": None}
        with writing(self._engine) as connection:
            return connection.execute(change.values(values)).rowcount

    def close(self) -> None:
        """Close the connections to the database."""
        self._engine.dispose()
