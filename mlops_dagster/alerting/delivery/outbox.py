"""The outbox: messages are put into it in the transaction that records the event, and taken out by the deliverer."""

from collections.abc import Callable, Sequence

from sqlalchemy import Connection, func, insert, or_, select

from mlops_dagster.alerting.alert import Alert, AlertEvent
from mlops_dagster.alerting.channels.message import Action, Site, message_of
from mlops_dagster.alerting.delivery.entry import State
from mlops_dagster.alerting.delivery.tables import outbox
from mlops_dagster.alerting.routing.plan import plan
from mlops_dagster.alerting.routing.routing import Routing
from mlops_dagster.clock import Clock, time_text


class Outbox:
    """The way into the outbox. Its methods are called in a transaction of the caller, on the database of the alerts."""

    def __init__(self, routing: Routing, site: Site, owners_of: Callable[[str], Sequence[str]], clock: Clock) -> None:
        self._routing, self._site, self._owners_of, self._clock = routing, site, owners_of, clock

    def enqueue(self, connection: Connection, event: AlertEvent, alert: Alert | None) -> None:
        """Put a message about the event into the outbox for each channel that is to be told of it."""
        owners = self._owners_of(event.model)
        holding = [] if alert is None else channels_holding(connection, alert.id)
        for channel, action in plan(event, alert, self._routing, owners, holding):
            self.put(connection, channel, action, event, event.alert, owners)

    def put(
        self,
        connection: Connection,
        channel: str,
        action: Action,
        event: AlertEvent,
        alert: Alert | None,
        owners: Sequence[str],
    ) -> None:
        """Put one message into the outbox; a further one about the same event is its reminder."""
        now = self._clock.now()
        earlier = select(func.count()).where(outbox.c.event == event.id, outbox.c.channel == channel)
        repeat = connection.scalar(earlier) or 0
        message = message_of(event, alert, self._site, now, next(iter(owners), ""), repeat)
        connection.execute(
            insert(outbox).values(
                event=event.id,
                repeat=repeat,
                alert=message.alert,
                channel=channel,
                key=message.key,
                action=action.value,
                message=message.model_dump_json(),
                enqueued_at=time_text(now),
                attempts=0,
                next_at=time_text(now),
                unsure=False,
                state=State.WAITING.value,
                error="",
            )
        )


def channels_holding(connection: Connection, alert_id: int) -> Sequence[str]:
    """Return the channels in which an alert is open, or will be, or may be."""
    counts = or_(
        outbox.c.state.in_((State.WAITING.value, State.SENT.value)),
        (outbox.c.state == State.DEAD.value) & outbox.c.unsure,
    )
    changes = outbox.c.action.in_((Action.OPEN.value, Action.MUTE.value))
    last = select(func.max(outbox.c.id)).where(outbox.c.alert == alert_id, changes, counts).group_by(outbox.c.channel)
    query = select(outbox.c.channel).where(outbox.c.id.in_(last), outbox.c.action == Action.OPEN.value)
    return list(connection.scalars(query.order_by(outbox.c.channel)))
