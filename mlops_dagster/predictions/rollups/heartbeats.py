"""Heartbeats of spools: their last known numbers, which show on any machine the entries a lost spool never shipped.

Heartbeats are kept with the rollups, and written by the process that counts the spool's entries, never by one that
answers requests.
"""

import socket
import time
from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Connection, select, text

from mlops_dagster.predictions.records import from_microseconds
from mlops_dagster.predictions.rollups.tables import heartbeat_processes, heartbeats
from mlops_dagster.predictions.spool.marks import ProcessCount
from mlops_dagster.predictions.spool.spool import Spool

BEAT_SECONDS = 15.0
"""The interval at which a spool without changes writes a heartbeat."""

ALIVE_SECONDS = 60.0
"""The age of a heartbeat up to which its spool may still ship its entries."""

# The time of the database's clock, which all replicas share.
_NOW = {
    "sqlite": text("SELECT CAST((julianday('now') - 2440587.5) * 86400000000 AS INTEGER)"),
    "postgresql": text("SELECT CAST(extract(epoch FROM clock_timestamp()) * 1000000 AS bigint)"),
}

# Numbers are only raised: of two processes that report one spool, the one that writes last may have read first.
_TELL_SPOOL = text("""
INSERT INTO heartbeats (spool, home, number, heard_at) VALUES (:spool, :home, :number, :now)
ON CONFLICT (spool) DO UPDATE SET home = excluded.home, heard_at = excluded.heard_at,
    number = CASE WHEN excluded.number > heartbeats.number THEN excluded.number ELSE heartbeats.number END
""")
_TELL_PROCESS = text("""
INSERT INTO heartbeat_processes (spool, process, model, sequence, answered, shipped)
VALUES (:spool, :process, :model, :sequence, :answered, :shipped)
ON CONFLICT (spool, process, model) DO UPDATE SET
    answered = CASE WHEN excluded.sequence > heartbeat_processes.sequence
        THEN excluded.answered ELSE heartbeat_processes.answered END,
    sequence = CASE WHEN excluded.sequence > heartbeat_processes.sequence
        THEN excluded.sequence ELSE heartbeat_processes.sequence END,
    shipped = CASE WHEN excluded.shipped > heartbeat_processes.shipped
        THEN excluded.shipped ELSE heartbeat_processes.shipped END
""")


class SpoolState(NamedTuple):
    """The numbers that a spool has reached."""

    spool: str
    home: str  # see `home_of`
    number: int  # the number of the last entry for the log
    processes: tuple[ProcessCount, ...]


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """The last reported state of a spool, and its time."""

    state: SpoolState
    at: datetime
    age_seconds: float

    def may_ship(self, home: str) -> bool:
        """Return whether the spool may still ship: heard of lately, and not replaced by the spool of the audit."""
        return self.age_seconds <= ALIVE_SECONDS and self.state.home != home


def home_of(spool: Spool) -> str:
    """Return the machine and the path of the spool's file."""
    return f"{socket.gethostname()}:{spool.path.resolve()}"


class Pulse:
    """Writes the heartbeats of spools: each change of state, and one every `BEAT_SECONDS` without a change."""

    def __init__(self) -> None:
        self._told: dict[str, tuple[SpoolState, float]] = {}

    def state_of(self, spool: Spool) -> SpoolState | None:
        """Return the current state of a spool; None if no heartbeat is due."""
        state = SpoolState(spool.id, home_of(spool), spool.last_for_log(), tuple(spool.processes()))
        told, at = self._told.get(spool.id, (None, 0.0))
        return None if told == state and time.monotonic() - at < BEAT_SECONDS else state

    def tell(self, connection: Connection, state: SpoolState) -> None:
        """Write a heartbeat, within the caller's transaction."""
        now = connection.scalar(_NOW[connection.dialect.name])
        connection.execute(_TELL_SPOOL, {"spool": state.spool, "home": state.home, "number": state.number, "now": now})
        told = self._told.get(state.spool)
        known = set(told[0].processes) if told is not None else set()
        if changed := [{"spool": state.spool, **each._asdict()} for each in state.processes if each not in known]:
            connection.execute(_TELL_PROCESS, changed)

    def was_told(self, state: SpoolState) -> None:
        """Note that the transaction with this heartbeat was committed."""
        self._told[state.spool] = state, time.monotonic()


def read(connection: Connection) -> list[Heartbeat]:
    """Return the last heartbeat of every spool that ever wrote one, in the order of the spools' ids."""
    table = heartbeat_processes.c
    counts: defaultdict[str, list[ProcessCount]] = defaultdict(list)
    columns = (table.spool, *(table[name] for name in ProcessCount._fields))
    for spool, *count in connection.execute(select(*columns).order_by(table.spool, table.process, table.model)):
        counts[spool].append(ProcessCount(*count))
    now = connection.scalar(_NOW[connection.dialect.name]) or 0
    found = heartbeats.c
    rows = connection.execute(select(found.spool, found.home, found.number, found.heard_at).order_by(found.spool))
    return [
        Heartbeat(
            SpoolState(spool, home, number, tuple(counts[spool])), from_microseconds(heard_at), (now - heard_at) / 1e6
        )
        for spool, home, number, heard_at in rows
    ]
