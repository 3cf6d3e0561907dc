"""The cache of snapshots: many viewers cost one snapshot, and the last good content outlives a failing store."""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field, fields, replace
from datetime import datetime
from typing import Any, Final, NamedTuple, TypeVar

from mlops_dagster.board.snapshot.entities import Figures, Section, Snapshot
from mlops_dagster.board.snapshot.take import snapshot
from mlops_dagster.stores import Stores

FRESH_SECONDS: Final = 2.0
_KEPT: Final = 64
"""The number of pages that are kept, of any time."""

Sections = TypeVar("Sections", Snapshot, Figures)


class _Key(NamedTuple):
    at: datetime | None
    page: int
    model: str | None


@dataclass
class _Entry:
    lock: threading.Lock = field(default_factory=threading.Lock)
    taken: Snapshot | None = None
    taken_at: float = 0.0


class Cache:
    """Snapshots of one home, for any number of threads. While one is being taken, others who want it wait for it.

    Args:
        stores: the stores of the home.
        seconds: the age up to which a snapshot is given out again.
        monotonic: the time in seconds, of any beginning.
    """

    def __init__(
        self, stores: Stores, *, seconds: float = FRESH_SECONDS, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._stores = stores
        self._seconds = seconds
        self._monotonic = monotonic
        self._entries: OrderedDict[_Key, _Entry] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, at: datetime | None = None, *, page: int = 1, model: str | None = None) -> Snapshot:
        """Return a snapshot as of `at`, or of now by the stores' clock.

        A section that is unavailable has the last good content that was given out for this page, with its time.
        Raises what `snapshot` raises; that is not kept.
        """
        entry = self._entry(_Key(at, page, model))
        with entry.lock:
            if entry.taken is None or self._monotonic() - entry.taken_at >= self._seconds:
                now = self._stores.clock.now() if at is None else at
                taken = snapshot(self._stores, now, page=page, model=model)
                entry.taken = taken if entry.taken is None else with_last_good(taken, entry.taken)
                entry.taken_at = self._monotonic()
            return entry.taken

    def _entry(self, key: _Key) -> _Entry:
        with self._lock:
            entry = self._entries.setdefault(key, _Entry())
            self._entries.move_to_end(key)
            while len(self._entries) > _KEPT:
                self._entries.popitem(last=False)
            return entry


def with_last_good(taken: Sections, before: Sections) -> Sections:
    """Return the snapshot with the content of `before` in each section that is unavailable now."""
    changed: dict[str, Any] = {}  # each field has its own type
    for each in fields(taken):
        now, then = getattr(taken, each.name), getattr(before, each.name)
        if isinstance(now, Figures):
            changed[each.name] = with_last_good(now, then)
        elif isinstance(now, Section) and now.unavailable and now.content is None:
            changed[each.name] = replace(now, content=then.content, as_of=then.as_of)
    return replace(taken, **changed)
