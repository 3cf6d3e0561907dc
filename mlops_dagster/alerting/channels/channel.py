"""The channel: what the deliverer needs of each kind."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Final, Protocol, TypeAlias

from mlops_dagster.alerting.channels.message import Action, Message

Receipt: TypeAlias = Mapping[str, object]
"""What a channel keeps of a message that it took, such as the number of an issue, as JSON can hold it."""


ANYWHERE: Final = ""
"""The place of a channel in which nothing stays open that only the same receiver can end."""


class Channel(Protocol):
    """A way to tell people. A channel keeps no state between messages: receipts are kept in the outbox."""

    name: str
    place: str
    """Where an alert is open once it was told: only there can it be ended. Holds no secret."""
    digests: bool
    """Whether an alert that was over before it could be told is told of at all."""
    keyed: bool
    """Whether the end of an alert that the channel does not know changes nothing there."""
    pauses: Sequence[timedelta] | None
    """The pauses between the tries of a message, which is given up after the last; None where the channel says itself
    what it will never take."""
    refresh_every: timedelta | None
    """How often an open alert is sent again, for a channel that otherwise takes it for resolved."""

    def send(self, message: Message, action: Action, receipt: Receipt | None, *, again: bool) -> Receipt:
        """Tell `message`, and return the receipt.

        Args:
            message: The message.
            action: The act that the channel is asked for.
            receipt: The last receipt of this alert from this channel; None if there is none.
            again: Whether an earlier try of this same message may have been taken.

        Raises:
            TryLaterError: The message was not taken, or it is not known whether it was.
            ChannelRefusedError: The message will never be taken.
        """
        ...
