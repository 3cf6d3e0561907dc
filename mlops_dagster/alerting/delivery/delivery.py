"""The delivery: the deliverers of all channels in the file MLOPS_CHANNELS."""

from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING

from mlops_dagster.alerting.alerts import Alerts
from mlops_dagster.alerting.channels.opening import OpenChannel, open_channel
from mlops_dagster.alerting.delivery.deliverer import Deliverer
from mlops_dagster.alerting.delivery.outbox import Outbox
from mlops_dagster.alerting.delivery.reminders import remind
from mlops_dagster.alerting.routing.routing import Routing
from mlops_dagster.clock import Clock
from mlops_dagster.database import migrate, open_database, writing
from mlops_dagster.errors import NotFoundError

if TYPE_CHECKING:
    import httpx


class Delivery:
    """The channels of one file, and the outbox of one database. Any number of processes may deliver at a time."""

    def __init__(
        self,
        database: str,
        routing: Routing,
        outbox: Outbox,
        owners_of: Callable[[str], Sequence[str]],
        alerts: Alerts,
        clock: Clock,
        transport: "httpx.BaseTransport | None" = None,
    ) -> None:
        """Deliver messages in `database` by the channels of `routing`; `transport` replaces the network in tests."""
        self._database, self._routing, self._outbox, self._owners_of = database, routing, outbox, owners_of
        self._alerts, self._clock, self._transport = alerts, clock, transport
        self._deliverers: dict[str, Deliverer] = {}
        self._engine = open_database(database)
        migrate(self._engine)

    @property
    def channels(self) -> Sequence[str]:
        """The names of the channels."""
        return list(self._routing.channels)

    def open(self, name: str) -> OpenChannel:
        """Return a channel that is ready to send.

        Raises NotFoundError for an unknown one, InvalidPolicyError if its secrets cannot be used, and
        MissingExtraError.
        """
        if name not in self._routing.channels:
            raise NotFoundError(f"no channel {name!r} in MLOPS_CHANNELS; it has {', '.join(self.channels)}")
        return open_channel(name, self._routing.channels[name], self._clock, self._transport)

    def deliver(self, name: str, older_than: timedelta = timedelta()) -> int:
        """Send what is due in one channel and has waited for `older_than`; return the number of messages sent.

        Raises StorageError, and what `open` raises.
        """
        if name not in self._deliverers:
            self._deliverers[name] = Deliverer(self._database, self.open(name), self._alerts, self._clock)
        return self._deliverers[name].deliver(older_than)

    def remind(self) -> int:
        """Put the reminders that are due into the outbox, and return their number. Raises StorageError."""
        with writing(self._engine) as connection:
            return remind(connection, self._routing, self._outbox, self._owners_of, self._clock.now())

    def close(self) -> None:
        """Close the connections to the database."""
        for deliverer in self._deliverers.values():
            deliverer.close()
        self._engine.dispose()
