"""The state of each channel: whether it works, and until when it asked to be left alone."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import Connection, delete, insert, select

from mlops_dagster.alerting.delivery.tables import channels
from mlops_dagster.clock import parse_time, time_text

TOLD_AFTER: Final = timedelta(minutes=10)
"""A channel that has failed for so long is broken; one that refuses a message is at once."""


@dataclass(frozen=True, slots=True)
class ChannelState:
    """The state of a channel."""

    name: str
    failing_since: datetime | None = None
    paused_until: datetime | None = None
    fault: str = ""
    """Why it is broken; empty while it works, or has only failed for some minutes."""
    told: bool = False
    """Whether the alert `channel_broken` about it was opened."""

    def paused(self, now: datetime) -> bool:
        return self.paused_until is not None and now < self.paused_until

    def worked(self) -> "ChannelState":
        return ChannelState(self.name, told=self.told)

    def refused(self, fault: str) -> "ChannelState":
        return replace(self, fault=fault)

    def failed(self, fault: str, now: datetime, pause: datetime | None) -> "ChannelState":
        since = self.failing_since or now
        broken = bool(self.fault) or now - since >= TOLD_AFTER
        return replace(self, failing_since=since, fault=fault if broken else "", paused_until=pause)


def read_state(connection: Connection, name: str) -> ChannelState:
    row = connection.execute(select(channels).where(channels.c.name == name)).mappings().one_or_none()
    if row is None:
        return ChannelState(name)
    times = {key: None if row[key] is None else parse_time(row[key]) for key in ("failing_since", "paused_until")}
    return ChannelState(**{**row, **times})


def save_state(connection: Connection, state: ChannelState) -> None:
    """Write the state. To be called in a transaction that has written before, so that others wait."""
    times = {
        "failing_since": None if state.failing_since is None else time_text(state.failing_since),
        "paused_until": None if state.paused_until is None else time_text(state.paused_until),
    }
    connection.execute(delete(channels).where(channels.c.name == state.name))
    row = {"name": state.name, "fault": state.fault, "told": state.told, **times}
    connection.execute(insert(channels).values(row))
