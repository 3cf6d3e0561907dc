"""The metrics of the spool."""

from collections.abc import Mapping
from datetime import datetime

from prometheus_client import CollectorRegistry, Gauge

from mlops_dagster.predictions import SpoolDepth


class SpoolMetrics:
    """The gauges of the spool. All processes measure the same one, so the newest value holds."""

    def __init__(self, registry: CollectorRegistry) -> None:
        def gauge(name: str, documentation: str, *labels: str) -> Gauge:
            return Gauge(name, documentation, labels, registry=registry, multiprocess_mode="mostrecent")

        self._entries = gauge("mlops_spool_entries", "Predictions and labels not yet in the log")
        self._oldest = gauge("mlops_spool_oldest_seconds", "Age of the oldest entry that is not in the log")
        self._lost = gauge("mlops_spool_lost", "Entries lost with the spool's file, or with a part of it")
        self._bytes = gauge("mlops_spool_bytes", "Size of the spool's files")
        self._free = gauge(
            "mlops_spool_free_bytes", "Free bytes on the spool's disk; at 0 every request fails with 503"
        )
        self._held = gauge(
            "mlops_log_held_entries",
            "Entries kept in the spool because their table of the log cannot take them",
            "table",
        )
        self._held_tables: set[str] = set()

    def measured(self, depth: SpoolDepth, now: datetime) -> None:
        """Set entries not in the log, age of the oldest, lost entries, size, free bytes."""
        self._entries.set(depth.entries)
        self._oldest.set((now - depth.oldest).total_seconds() if depth.oldest is not None else 0)
        self._lost.set(depth.lost)
        self._bytes.set(depth.bytes)
        self._free.set(depth.free_bytes)

    def held(self, entries: Mapping[str, int]) -> None:
        """Set the number of entries that are kept in the spool, by the table of the log that cannot take them."""
        self._held_tables |= entries.keys()
        for table in self._held_tables:
            self._held.labels(table).set(entries.get(table, 0))
