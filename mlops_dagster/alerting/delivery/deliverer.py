"""The deliverer: brings the messages of the outbox to their channels. Any number may work at the same time."""

import logging
import random
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import func, select

from mlops_dagster.alerting.alert import FLEET, Severity
from mlops_dagster.alerting.alerts import Alerts
from mlops_dagster.alerting.channels.channel import Channel, Receipt
from mlops_dagster.alerting.channels.message import Action
from mlops_dagster.alerting.channels.opening import OpenChannel
from mlops_dagster.alerting.delivery import queue
from mlops_dagster.alerting.delivery.channel_state import ChannelState, read_state, save_state
from mlops_dagster.alerting.delivery.entry import Entry
from mlops_dagster.alerting.delivery.places import left_open, receipt_at, with_place
from mlops_dagster.alerting.delivery.refreshing import to_refresh
from mlops_dagster.alerting.rule import Rule
from mlops_dagster.clock import Clock
from mlops_dagster.database import looking, migrate, open_database, reading, writing
from mlops_dagster.errors import ChannelRefusedError, TryLaterError

logger = logging.getLogger(__name__)

GIVEN_UP_AFTER: Final = timedelta(hours=24)
FIRST_PAUSE: Final = timedelta(seconds=2)
LONGEST_PAUSE: Final = timedelta(minutes=5)

_PASS = timedelta(seconds=10)
_TURN = queue.LEASE / 2  # entries of a claim that are not begun by then are given back


class Deliverer:
    """The deliverer of one channel. What it does is in the database: it may be killed at any time."""

    def __init__(
        self, database: str, opened: OpenChannel, alerts: Alerts, clock: Clock, jitter: random.Random | None = None
    ) -> None:
        """Deliver by `opened`, and open and resolve the alert that it is broken; `jitter` spreads the retries."""
        self._engine = open_database(database)
        migrate(self._engine)
        self._opened, self._alerts, self._clock = opened, alerts, clock
        self._jitter = jitter or random.Random()  # noqa: S311  # spreads retries, and keeps no secret
        self._refreshed_at: datetime | None = None

    def deliver(self, older_than: timedelta = timedelta()) -> int:
        """Send what is due and has waited for `older_than`; return the number of messages that were sent.

        What takes longer than some seconds is left to the next call, so that a process can end meanwhile.
        Raises StorageError.
        """
        begin, count, more = self._clock.now(), 0, True
        while more and self._clock.now() - begin < _PASS and self._has_due(older_than):
            sent, more = self._turn(older_than)
            count += sent
        self._tell()
        self._refresh()
        return count

    def close(self) -> None:
        """Close the connections to the channel and the database."""
        self._opened.close()
        self._engine.dispose()

    @property
    def _channel(self) -> Channel:
        return self._opened.channel

    def _has_due(self, older_than: timedelta) -> bool:
        now, name = self._clock.now(), self._channel.name
        with looking(self._engine) as connection:
            if not connection.scalar(select(func.count()).where(queue.due(name, now, older_than))):
                return False
            return not read_state(connection, name).paused(now)

    def _turn(self, older_than: timedelta) -> tuple[int, bool]:
        """Send some entries; return how many, and whether to go on."""
        begin = self._clock.now()
        with writing(self._engine) as connection:
            entries, superseded = queue.claim(connection, self._channel, begin, older_than)
        if not entries:
            return 0, superseded > 0
        sent = 0
        for number, entry in enumerate(entries):
            if self._clock.now() - begin > _TURN:
                self._give_back(entries[number:])
                return sent, True
            try:
                self._send(entry)
            except TryLaterError as error:
                self._put_off(entry, error)
                self._give_back(entries[number + 1 :])
                return sent, False
            except ChannelRefusedError as error:
                self._give_up(entry, self._opened.hidden(error.message), taken=False)
            except Exception as error:
                # Only its class: the text of a foreign error may hold a secret.
                self._put_off(entry, TryLaterError(f"it failed with {type(error).__name__}", taken=True))
            else:
                sent += 1
        return sent, True

    def _send(self, entry: Entry) -> None:
        with looking(self._engine) as connection:
            earlier = queue.last_sent(connection, entry)
        place = self._channel.place
        receipt, left = receipt_at(place, earlier), left_open(entry.alert, place, earlier)
        ends_elsewhere = entry.asked is Action.RESOLVE and bool(left)
        if receipt is not None or not ends_elsewhere:
            receipt = self._channel.send(entry.message, entry.asked, receipt, again=entry.unsure)
        if ends_elsewhere:
            raise ChannelRefusedError(
                f"{entry.key} is open at {', '.join(left)}, which MLOPS_CHANNELS does not name any more; "
                "close it there by hand"
            )
        self._sent(entry, with_place(receipt or {}, place, left))

    def _sent(self, entry: Entry, receipt: Receipt) -> None:
        with writing(self._engine) as connection:
            queue.sent(connection, entry, receipt, self._clock.now())
            before = read_state(connection, self._channel.name)
            if before != before.worked():
                save_state(connection, before.worked())

    def _put_off(self, entry: Entry, error: TryLaterError) -> None:
        """Keep the entry for later, or give it up after a day, or after the last pause of the channel."""
        now, reason = self._clock.now(), self._opened.hidden(error.message)
        tries = entry.attempts + 1
        pause = error.after or self._pause(tries)
        if now - entry.enqueued_at >= GIVEN_UP_AFTER or pause is None:
            self._give_up(entry, f"given up after {tries} tries: {reason}", taken=error.taken)
            return
        with writing(self._engine) as connection:
            queue.failed(connection, entry, reason, now + pause, unsure=error.taken)
            state = read_state(connection, self._channel.name)
            save_state(connection, state.failed(reason, now, now + pause if error.channel else None))

    def _give_up(self, entry: Entry, reason: str, *, taken: bool) -> None:
        with writing(self._engine) as connection:
            queue.given_up(connection, entry, reason, self._clock.now(), unsure=taken)
            save_state(connection, read_state(connection, self._channel.name).refused(reason))

    def _give_back(self, entries: Sequence[Entry]) -> None:
        if entries:
            with writing(self._engine) as connection:
                queue.release(connection, entries)

    def _pause(self, tries: int) -> timedelta | None:
        """Return the pause after so many tries; None if there is to be no other.

        Unless the channel has pauses, it is random between 0 and a limit that doubles with each try, up to 5 minutes.
        """
        pauses = self._channel.pauses
        if pauses is not None:
            return pauses[tries - 1] if tries <= len(pauses) else None
        limit = min(FIRST_PAUSE * float(2 ** min(tries - 1, 10)), LONGEST_PAUSE)
        return limit * self._jitter.random()

    def _tell(self) -> None:
        """Open the alert that this channel is broken, or resolve it."""
        name = self._channel.name
        with looking(self._engine) as connection:
            state = read_state(connection, name)
        if bool(state.fault) == state.told:
            return
        if state.fault:
            self._alerts.report(
                FLEET,
                Rule.CHANNEL_BROKEN,
                Severity.WARNING,
                f"the channel {name} does not take messages: {state.fault}",
                subject=name,
                since=state.failing_since,
                done="its messages are kept and tried again; `mlops alerts retry` revives those that were given up",
            )
        else:
            self._alerts.resolve(FLEET, Rule.CHANNEL_BROKEN, f"the channel {name} took a message", subject=name)
        self._save_told(told=bool(state.fault))

    def _save_told(self, *, told: bool) -> None:
        with writing(self._engine) as connection:
            found = read_state(connection, self._channel.name)
            save_state(
                connection,
                ChannelState(found.name, found.failing_since, found.paused_until, found.fault, told),
            )

    def _refresh(self) -> None:
        """Send open alerts again to a channel that forgets them; a failure is made good by the next time."""
        every, now = self._channel.refresh_every, self._clock.now()
        if every is None or (self._refreshed_at is not None and now - self._refreshed_at < every):
            return
        self._refreshed_at = now
        with reading(self._engine) as connection:
            found = to_refresh(connection, self._channel.name, now)
        try:
            for entry in found:
                self._channel.send(entry.message, entry.asked, None, again=True)
        except (TryLaterError, ChannelRefusedError) as error:
            logger.warning("%s: %s", self._channel.name, self._opened.hidden(error.message))
