"""The front door of one process: limits the number of connections and their times, and ends some when it is full.

All of this is decided before any token is read, as a caller that has not sent a whole request has shown none.
"""

import resource
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from mlops_dagster.errors import MlopsError, OverloadedError, TooSlowError
from mlops_dagster.settings import Settings

SWEEP_SECONDS = 0.25

# Descriptors that a worker needs for other things: databases, the log, artifacts while they are loaded.
_SPARE_DESCRIPTORS = 256
_ENOUGH_DESCRIPTORS = 65_536

# Shares of the connections: when the door is full, phases with more than their share lose connections first. New ones
# have a share, so that many idle ones do not keep them out, and a small one, so that they drive out no others.
_NEW_SHARE = 8
_TRANSFER_SHARE = 2


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits of one process; times are in seconds."""

    head_seconds: float
    body_seconds: float
    idle_seconds: float
    connections: int
    unfinished_bytes: int

    @staticmethod
    def of(settings: Settings) -> "Limits":
        """Return the limits of `settings`, with no more connections than this process may have descriptors."""
        descriptors, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        bearable = max(descriptors - _SPARE_DESCRIPTORS, descriptors // 2)
        return Limits(
            settings.head_seconds,
            settings.body_seconds,
            settings.idle_seconds,
            min(settings.max_connections, bearable),
            max(settings.max_unfinished_bytes, settings.max_body_bytes),
        )


class Queue:
    """Connections in one phase, the oldest at the front: it is the first to be late, and the first to be ended."""

    def __init__(self, seconds: float, share: int) -> None:
        self.seconds = seconds
        self.share = share
        self.since: dict[Caller, float] = {}

    def __len__(self) -> int:
        return len(self.since)

    def first(self) -> "Caller":
        return next(iter(self.since))


class Caller(Protocol):
    """A connection as the door sees it."""

    queue: Queue | None
    """The queue in which the connection waits; None while its request is being answered, which the door never stops."""
    held: int
    """Bytes in memory of a body that has not arrived completely, or of an answer that the client has not taken."""

    def drop(self, error: MlopsError, *, at_once: bool = False) -> None:
        """Leave the queue and end, with `error` as the answer if one is due; `at_once` if the place is needed now."""


class FrontDoor:
    """The connections of one event loop, in queues by the event that they wait for.

    `now` returns the loop's time in seconds; `dropped` is called with the reason for each connection that is ended.
    """

    def __init__(self, limits: Limits, now: Callable[[], float], dropped: Callable[[str], None]) -> None:
        new = limits.connections // _NEW_SHARE
        self.silent = Queue(limits.idle_seconds, new)
        """Connections that have sent nothing yet."""
        self.heads = Queue(limits.head_seconds, new)
        """Connections that have begun to send a head."""
        self.transfers = Queue(limits.body_seconds, limits.connections // _TRANSFER_SHARE)
        """Connections that have begun to send a body, or do not take their answer."""
        self.idle = Queue(limits.idle_seconds, 0)
        """Connections whose last request is answered."""
        self._queues = (self.silent, self.heads, self.transfers, self.idle)
        self._limits = limits
        self._now = now
        self._dropped = dropped
        self._held = 0

    def place(self, caller: Caller, queue: Queue | None, held: int = 0) -> None:
        """Move a caller to `queue`, or keep its place if it is there already; it holds `held` bytes now."""
        if caller.queue is not queue:
            if caller.queue is not None:
                caller.queue.since.pop(caller, None)
            if queue is not None:
                queue.since[caller] = self._now()
            caller.queue = queue
        if held != caller.held:
            self._held += held - caller.held
            caller.held = held
            self._make_memory()

    def has_place(self, connections: int) -> bool:
        """Return whether one more connection may come: there is a place, or a connection that can be ended for it."""
        return connections < self._limits.connections or self._first_to_go() is not None

    def make_place(self, connections: int) -> None:
        """End one connection if there are more than the limit."""
        if connections > self._limits.connections:
            self.drop_one()

    def drop_one(self) -> None:
        """End the first connection that may be ended, if there is one."""
        caller = self._first_to_go()
        if caller is not None:
            self._dropped("full")
            caller.drop(OverloadedError("there are too many connections; try again in a moment"), at_once=True)

    def sweep(self) -> None:
        """End the connections that have waited longer than their queue allows."""
        now = self._now()
        for queue in self._queues:
            while queue.since and now - queue.since[queue.first()] > queue.seconds:
                late = TooSlowError(f"the request has not arrived within {queue.seconds:g} s; send it at once")
                self._dropped("late")
                queue.first().drop(late)

    def refused(self) -> None:
        """Count a connection that ends because it sent something malformed."""
        self._dropped("malformed")

    def _first_to_go(self) -> Caller | None:
        return next((queue.first() for queue in self._queues if len(queue) > queue.share), None)

    def _make_memory(self) -> None:
        """End connections until the held bytes are within the limit: the oldest that holds an average share or more."""
        while self._held > self._limits.unfinished_bytes:
            callers = self.transfers.since
            first = next(caller for caller in callers if caller.held * len(callers) >= self._held)
            self._dropped("memory")
            first.drop(OverloadedError("there are too many unfinished bodies; try again in a moment"))


def raise_descriptor_limit() -> None:
    """Raise the limit of descriptors of this process and its children to what the system allows, at most 65,536."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _ENOUGH_DESCRIPTORS if hard == resource.RLIM_INFINITY else min(hard, _ENOUGH_DESCRIPTORS)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
