"""The entry of the outbox: one message on its way to one channel."""

import json
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import RowMapping

from mlops_dagster.alerting.channels.message import Action, Message
from mlops_dagster.clock import parse_time
from mlops_dagster.documents.readable import reading_row
from mlops_dagster.documents.strict import STORED


class State(StrEnum):
    """The state of an entry."""

    WAITING = "waiting"
    SENT = "sent"
    SUPERSEDED = "superseded"
    """Not sent, as the alert was over before."""
    DEAD = "dead"
    """Given up: the channel will never take it, or did not for a day."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A message on its way to one channel."""

    id: int
    event: int
    repeat: int
    """0 for the event itself, else the number of its reminder."""
    alert: int | None
    channel: str
    key: str
    """Messages of one key reach a channel in their order."""
    action: Action
    message: Message
    enqueued_at: datetime
    attempts: int
    next_at: datetime
    """The earliest time of the next try."""
    leased_until: datetime | None
    """Until then a deliverer has it; None if none has."""
    unsure: bool
    """Whether a try that is not known to have failed may have been taken."""
    state: State
    error: str
    receipt: dict[str, Any] | None
    """The receipt of the channel, once it is sent."""
    done_at: datetime | None
    """The time at which it was sent, superseded or given up."""

    @property
    def asked(self) -> Action:
        """The act that the channel is asked for: it knows no mutes, and ends the alert."""
        return Action.RESOLVE if self.action is Action.MUTE else self.action


def entry_of(row: RowMapping) -> Entry:
    """Return the entry of a row; raises UnreadableError."""
    with reading_row(f"the entry {row['id']} of the outbox"):
        return Entry(
            **{
                **row,
                "action": Action(row["action"]),
                "message": Message.model_validate_json(row["message"], context=STORED),
                "state": State(row["state"]),
                "receipt": None if row["receipt"] is None else json.loads(row["receipt"]),
                **{name: _time(row[name]) for name in ("enqueued_at", "next_at", "leased_until", "done_at")},
            }
        )


def _time(text: str | None) -> datetime | None:
    return None if text is None else parse_time(text)
