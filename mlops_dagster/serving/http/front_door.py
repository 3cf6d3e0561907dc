"""The front door of one process: how many callers it bears at a time, for how long, and who goes when it is full.

Callers that have not sent a whole request are nobody's customers yet: all of this is decided before any token is read.
"""

import resource
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from mlops_dagster.errors import MlopsError, OverloadedError, TooSlowError
from mlops_dagster.settings import Settings

SWEEP_SECONDS = 0.25

# Descriptors of a worker that are not connections: databases, the log, artifacts while they are loaded.
_SPARE_DESCRIPTORS = 256
_ENOUGH_DESCRIPTORS = 65_536

# Shares of the connections, beyond which those of a phase go first when there is no place left. Newcomers have a share,
# so that many idle connections do not keep them out, and a small one, so that they drive out nobody else.
_NEW_SHARE = 8
_TRANSFER_SHARE = 2


@dataclass(frozen=True, slots=True)
class Limits:
    """What one process bears; times in seconds."""

    head_seconds: float
    body_seconds: float
    idle_seconds: float
    connections: int
    unfinished_bytes: int

    @staticmethod
    def of(settings: Settings) -> "Limits":
        """The settings, with no more connections than this process may have descriptors."""
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
    """Connections in one phase, those that entered it first at the front: they are the first to be late, and to go."""

    def __init__(self, seconds: float, share: int) -> None:
        self.seconds = seconds
        self.share = share
        self.since: dict[Caller, float] = {}

    def __len__(self) -> int:
        return len(self.since)

    def first(self) -> "Caller":
        return next(iter(self.since))


class Caller(Protocol):
    """A connection, as the door knows it."""

    queue: Queue | None
    """Where it waits; None while a request of it is being answered, which nothing here interrupts."""
    held: int
    """Bytes in memory for what has not arrived whole, or is not taken."""

    def drop(self, error: MlopsError, *, at_once: bool = False) -> None:
        """Leave the queue, and end: with `error` as the answer if one is owed. `at_once` its place is needed."""


class FrontDoor:
    """Keeps the connections of one event loop in queues by what is awaited of them.

    `now` is the loop's time in seconds; `dropped` is told a word for each connection that is ended.
    """

    def __init__(self, limits: Limits, now: Callable[[], float], dropped: Callable[[str], None]) -> None:
        new = limits.connections // _NEW_SHARE
        self.silent = Queue(limits.idle_seconds, new)
        """Nothing has come yet."""
        self.heads = Queue(limits.head_seconds, new)
        """A head has begun."""
        self.transfers = Queue(limits.body_seconds, limits.connections // _TRANSFER_SHARE)
        """A body has begun, or an answer is not taken."""
        self.idle = Queue(limits.idle_seconds, 0)
        """The last request is answered."""
        self._queues = (self.silent, self.heads, self.transfers, self.idle)
        self._limits = limits
        self._now = now
        self._dropped = dropped
        self._held = 0

    def place(self, caller: Caller, queue: Queue | None, held: int = 0) -> None:
        """Put a caller where it belongs now. Who stays in its queue keeps its place there."""
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
        """Whether one more may come: there is a place, or somebody's who may go."""
        return connections < self._limits.connections or self._first_to_go() is not None

    def make_place(self, connections: int) -> None:
        """End one connection if there are more than there may be."""
        if connections > self._limits.connections:
            self.drop_one()

    def drop_one(self) -> None:
        """End the connection that is to go first, if any may."""
        caller = self._first_to_go()
        if caller is not None:
            self._dropped("full")
            caller.drop(OverloadedError("there are too many connections; try again in a moment"), at_once=True)

    def sweep(self) -> None:
        """End those that are late."""
        now = self._now()
        for queue in self._queues:
            while queue.since and now - queue.since[queue.first()] > queue.seconds:
                late = TooSlowError(f"the request has not arrived within {queue.seconds:g} s; send it at once")
                self._dropped("late")
                queue.first().drop(late)

    def refused(self) -> None:
        """Take note of a connection that ends for what it sent."""
        self._dropped("malformed")

    def _first_to_go(self) -> Caller | None:
        return next((queue.first() for queue in self._queues if len(queue) > queue.share), None)

    def _make_memory(self) -> None:
        """Of those that hold their share at least, the one that has for longest not come to an end goes first."""
        while self._held > self._limits.unfinished_bytes:
            callers = self.transfers.since
            first = next(caller for caller in callers if caller.held * len(callers) >= self._held)
            self._dropped("memory")
            first.drop(OverloadedError("there are too many unfinished bodies; try again in a moment"))


def raise_descriptor_limit() -> None:
    """Let this process and its children have as many descriptors as the system allows them."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _ENOUGH_DESCRIPTORS if hard == resource.RLIM_INFINITY else min(hard, _ENOUGH_DESCRIPTORS)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
