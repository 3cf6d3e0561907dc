"""The entries of the outbox, for people to look at and to try again."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Final

from sqlalchemy import and_, delete, or_, select, update

from mlops_dagster.alerting.delivery.entry import Entry, State, entry_of
from mlops_dagster.alerting.delivery.tables import outbox
from mlops_dagster.alerting.life.tables import IS_OPEN, alerts
from mlops_dagster.clock import Clock, time_text
from mlops_dagster.database import looking, migrate, open_database, reading, writing
from mlops_dagster.documents.readable import readable

KEPT: Final = timedelta(days=90)
"""The time for which messages are kept after they were sent or given up; no issue is reopened after it."""


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

    def tidy(self) -> int:
        """Remove entries that were settled 90 days ago, of alerts that are over; return their number.

        The receipts of open alerts stay, however old they are.
        """
        is_open = select(alerts.c.id).where(IS_OPEN)
        old = and_(
            outbox.c.done_at < time_text(self._clock.now() - KEPT),
            outbox.c.state != State.WAITING.value,
            or_(outbox.c.alert.is_(None), outbox.c.alert.not_in(is_open)),
        )
        with looking(self._engine) as connection:  # nearly always there are none, and no lock is waited for
            if connection.scalar(select(outbox.c.id).where(old).limit(1)) is None:
                return 0
        with writing(self._engine) as connection:
            return connection.execute(delete(outbox).where(old)).rowcount

    def close(self) -> None:
        """Close the connections to the database."""
        self._engine.dispose()
